use super::{ServeError, Service, instance};
use crate::guest::Timed;
use alloc::boxed::Box;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::sync::atomic::Ordering;
use core::task::Poll;
use wasi_http::websocket::UpgradeRequest;

impl Service {
    /// Has a guest answer `request`. `answer` is ready with what it answered, or with `None` once
    /// it dropped the request. `hold` is dropped when the guest has ended. Dropping the future
    /// ends the guest.
    ///
    /// # Errors
    /// [`ServeError::NoResponse`] and [`ServeError::Failed`]; it was reported already.
    pub async fn upgrade<R>(
        &self,
        request: UpgradeRequest,
        answer: impl Future<Output = Option<R>>,
        hold: impl Send + 'static,
    ) -> Result<(R, Serving), ServeError> {
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let mut serving = Serving {
            service: self.clone(),
            number,
            guest: Some(instance::connect(&self.0, number, request, hold)),
        };
        let mut answer = pin!(answer);
        let answered = poll_fn(|cx| {
            let failed = match &mut serving.guest {
                None => None,
                Some(guest) => match guest.poll(cx) {
                    Poll::Pending => None,
                    Poll::Ready(result) => {
                        serving.guest = None;
                        result.err()
                    }
                },
            };
            match (answer.as_mut().poll(cx), failed) {
                (Poll::Ready(Some(response)), failed) => {
                    // It accepted and then failed, which its client is told on the connection.
                    if let Some(error) = failed {
                        (self.0.report)(number, &ServeError::Failed(error));
                    }
                    Poll::Ready(Ok(response))
                }
                (_, Some(error)) => Poll::Ready(Err(ServeError::Failed(error))),
                (Poll::Ready(None), None) => Poll::Ready(Err(ServeError::NoResponse)),
                (Poll::Pending, None) => Poll::Pending,
            }
        })
        .await;
        match answered {
            Ok(response) => Ok((response, serving)),
            Err(error) => {
                (self.0.report)(number, &error);
                serving.go_on();
                Err(error)
            }
        }
    }
}

/// A guest that has answered a request for a WebSocket. Dropping it ends the guest, and closes
/// the connection with code 1001.
#[must_use = "dropping it ends the guest"]
pub struct Serving {
    service: Service,
    number: u64,
    guest: Option<Timed>,
}

impl Serving {
    /// Lets a guest that has refused go on until its time is up.
    pub fn go_on(self) {
        self.run(None::<core::future::Ready<()>>);
    }

    /// Lets a guest that has accepted go on: as long as it wants until `gone` is ready, as there
    /// is no connection any more, then until its time, which begins anew, is up.
    pub fn connected(self, gone: impl Future<Output = ()> + Send + 'static) {
        self.run(Some(gone));
    }

    fn run(self, gone: Option<impl Future<Output = ()> + Send + 'static>) {
        let Self {
            service,
            number,
            guest,
        } = self;
        let Some(mut guest) = guest else {
            return;
        };
        if gone.is_some() {
            guest.lift();
        }
        let executor = service.0.executor.clone();
        executor.spawn(Box::pin(async move {
            let mut gone = pin!(gone);
            let ended = poll_fn(|cx| {
                if let Some(waits) = gone.as_mut().as_pin_mut()
                    && waits.poll(cx).is_ready()
                {
                    gone.set(None);
                    guest.restart();
                }
                guest.poll(cx)
            });
            if let Err(error) = ended.await {
                (service.0.report)(number, &ServeError::Failed(error));
            }
        }));
    }
}
