//! A cable between two devices, in memory.

use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
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
    /// Of 100 frames, how many have some bytes of them changed; nobody looks at checksums then.
    damage: u64,
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
            damage: 0,
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

    /// Before the cable is used: how many of 100 frames are damaged, unseen.
    pub fn damaging(self, of_100: u64) -> Self {
        self.0.lock().unwrap().damage = of_100;
        self
    }

    /// No frame is damaged from now on.
    pub fn repair(&self) {
        self.0.lock().unwrap().damage = 0;
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

    fn send(&self, from: usize, mut frame: Vec<u8>) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.carried += 1;
            state.random();
            if !state.plugged || state.random % 100 < state.loss {
                return;
            }
            if state.random() % 100 < state.damage {
                for _ in 0..=state.random() % 3 {
                    // Where the headers are.
                    let at = state.random() as usize % frame.len().min(90);
                    frame[at] = state.random() as u8;
                }
            }
            state.to[1 - from].push_back(frame);
            state.interrupts[1 - from].clone()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
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
        let state = self.cable.0.lock().unwrap();
        capabilities.medium = state.medium;
        if state.damage > 0 {
            capabilities.checksum = ChecksumCapabilities::ignored();
        }
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}
