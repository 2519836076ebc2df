//! A cable between two devices, in memory.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::Waker;

/// Frames under way in one direction; then the device takes none.
const CAPACITY: usize = 32;

#[derive(Clone)]
pub struct Cable(Arc<Mutex<State>>);

struct State {
    to: [VecDeque<Vec<u8>>; 2],
    interrupts: [Option<Waker>; 2],
    /// Of 100 frames, how many are lost.
    loss: u64,
    random: u64,
    plugged: bool,
    carried: usize,
    medium: Medium,
}

impl Cable {
    pub fn new(medium: Medium) -> Self {
        Self(Arc::new(Mutex::new(State {
            to: Default::default(),
            interrupts: [None, None],
            loss: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            plugged: true,
            carried: 0,
            medium,
        })))
    }

    pub fn end(&self, side: usize) -> End {
        End {
            cable: self.clone(),
            side,
        }
    }

    pub fn interrupt(&self, side: usize, waker: Waker) {
        self.0.lock().unwrap().interrupts[side] = Some(waker);
    }

    pub fn lose(&self, of_100: u64) {
        self.0.lock().unwrap().loss = of_100;
    }

    pub fn plug(&self, plugged: bool) {
        let mut state = self.0.lock().unwrap();
        state.plugged = plugged;
        state.to.iter_mut().for_each(VecDeque::clear);
    }

    /// How many frames were sent.
    pub fn carried(&self) -> usize {
        self.0.lock().unwrap().carried
    }

    /// Gives `side` a frame of the test's making.
    pub fn inject(&self, side: usize, frame: Vec<u8>) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.to[side].push_back(frame);
            state.interrupts[side].clone()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn send(&self, from: usize, frame: Vec<u8>) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.carried += 1;
            state.random ^= state.random << 13;
            state.random ^= state.random >> 7;
            state.random ^= state.random << 17;
            if !state.plugged || state.random % 100 < state.loss {
                return;
            }
            state.to[1 - from].push_back(frame);
            state.interrupts[1 - from].clone()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

pub struct End {
    cable: Cable,
    side: usize,
}

pub struct Rx(Vec<u8>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub struct Tx(Cable, usize);

impl TxToken for Tx {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.send(self.1, frame);
        result
    }
}

impl Device for End {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx;

    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx)> {
        let (frame, waker) = {
            let mut state = self.cable.0.lock().unwrap();
            let full = state.to[self.side].len() >= CAPACITY;
            let frame = state.to[self.side].pop_front()?;
            let other = state.interrupts[1 - self.side].clone();
            (frame, other.filter(|_| full))
        };
        waker.into_iter().for_each(Waker::wake);
        Some((Rx(frame), Tx(self.cable.clone(), self.side)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx> {
        let full = self.cable.0.lock().unwrap().to[1 - self.side].len() >= CAPACITY;
        (!full).then(|| Tx(self.cable.clone(), self.side))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = self.cable.0.lock().unwrap().medium;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}
