use crate::descriptor::Descriptor;
use alloc::vec::Vec;
use wasi_types::preview1::Errno;

/// The file descriptors of a guest.
pub(crate) struct Table {
    open: Vec<Option<Descriptor>>,
    /// No number below it is free.
    lowest_free: usize,
    max: usize,
}

impl Table {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            open: Vec::new(),
            lowest_free: 0,
            max,
        }
    }

    /// No less than what was granted.
    pub(crate) fn set_max(&mut self, max: usize) {
        self.max = max.max(self.open.len());
    }

    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        let open = self.open.get(fd as usize);
        open.and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        let open = self.open.get_mut(fd as usize);
        open.and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    /// Two descriptors at once, which may be the same.
    pub(crate) fn pair(&self, a: u32, b: u32) -> Result<(&Descriptor, &Descriptor), Errno> {
        Ok((self.get(a)?, self.get(b)?))
    }

    /// Whether a descriptor can be added.
    ///
    /// # Errors
    /// [`Errno::Mfile`]: as many as there may be are open.
    pub(crate) fn room(&self) -> Result<(), Errno> {
        match self.open.len() < self.max || self.open.iter().any(Option::is_none) {
            true => Ok(()),
            false => Err(Errno::Mfile),
        }
    }

    /// Gives `descriptor` the lowest number that is free.
    ///
    /// # Errors
    /// As [`Table::room`].
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        let free = self.open[self.lowest_free..].iter();
        let free = free.take_while(|open| open.is_some()).count();
        let fd = self.lowest_free + free;
        if fd >= self.max {
            return Err(Errno::Mfile);
        }
        match self.open.get_mut(fd) {
            Some(open) => *open = Some(descriptor),
            None => self.open.push(Some(descriptor)),
        }
        self.lowest_free = fd + 1;
        Ok(fd as u32)
    }

    /// As [`Table::insert`], whatever the limit.
    pub(crate) fn grant(&mut self, descriptor: Descriptor) {
        self.max = self.max.max(self.open.len() + 1);
        // There is room now.
        let _ = self.insert(descriptor);
    }

    pub(crate) fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        let open = self.open.get_mut(fd as usize);
        let removed = open.and_then(Option::take).ok_or(Errno::Badf)?;
        self.lowest_free = self.lowest_free.min(fd as usize);
        Ok(removed)
    }

    /// `from` becomes `to`, which is closed.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.pair(from, to)?;
        if from != to {
            let moved = self.remove(from)?;
            *self.get_mut(to)? = moved;
        }
        Ok(())
    }
}
