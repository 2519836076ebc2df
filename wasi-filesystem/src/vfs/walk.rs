//! From a path to the object that it stands for.

use super::Vfs;
use crate::backend::Result;
use crate::{DescriptorType, ErrorCode, PATH_MAX};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use wasi_io::Op;

/// The symbolic links that one path may lead over.
const LINKS_MAX: usize = 40;

/// What to do with the last step of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Not to look at it.
    Name,
    /// To find what it stands for; a symbolic link is followed where `follow`, or where a `/`
    /// comes after it.
    Object { follow: bool },
    /// As `Object`; a file will be made where nothing is, so no `/` may come after it.
    Create { follow: bool },
}

/// Where a path leads.
pub(super) enum Place<I> {
    /// To this object; with [`Goal::Name`], to a directory by `.` or `..`.
    Object(I),
    /// To a name in a directory. [`Goal::Name`]: nobody has looked; the others: nothing is
    /// there.
    Name(Name<I>),
}

pub(super) struct Name<I> {
    pub(super) dir: I,
    pub(super) name: String,
    /// A `/` comes after it.
    pub(super) slash: bool,
}

/// A path that is being walked: what asks the filesystem is in [`Walk::start`] alone.
struct Walk<V: Vfs> {
    vfs: Arc<V>,
    goal: Goal,
    base: V::Inode,
    /// The directories below `base` that the path led through. `..` takes the last one away,
    /// whatever is above it by now, so nothing above `base` is ever reached.
    below: Vec<V::Inode>,
    /// What is to be walked yet, from `at` on. Each of [`LINKS_MAX`] links adds less than
    /// [`PATH_MAX`] bytes.
    text: String,
    at: usize,
    links: usize,
    step: Step,
}

/// The step that is looked up.
#[derive(Default)]
struct Step {
    name: Range<usize>,
    last: bool,
    slash: bool,
}

enum Next<V: Vfs> {
    Lookup(Op<Result<V::Inode>>),
    Readlink(Op<Result<String>>),
    Done(Result<Place<V::Inode>>),
}

/// Walks `path` from the directory `base` on.
pub(super) fn walk<V: Vfs>(
    vfs: &Arc<V>,
    base: &V::Inode,
    path: &str,
    goal: Goal,
) -> Op<Result<Place<V::Inode>>> {
    let mut walk = Walk {
        vfs: vfs.clone(),
        goal,
        base: base.clone(),
        below: Vec::new(),
        text: String::new(),
        at: 0,
        links: 0,
        step: Step::default(),
    };
    let first = match walk.enter(path) {
        Ok(()) => walk.next(),
        Err(code) => Next::Done(Err(code)),
    };
    walk.start(first)
}

impl<V: Vfs> Walk<V> {
    fn start(mut self, mut next: Next<V>) -> Op<Result<Place<V::Inode>>> {
        loop {
            next = match next {
                Next::Done(result) => return Op::Ready(result),
                Next::Lookup(Op::Ready(result)) => self.looked_up(result),
                Next::Readlink(Op::Ready(result)) => self.read_link(result),
                pending => return Op::Pending(Box::pin(self.finish(pending))),
            }
        }
    }

    async fn finish(mut self, mut next: Next<V>) -> Result<Place<V::Inode>> {
        loop {
            next = match next {
                Next::Done(result) => return result,
                Next::Lookup(op) => self.looked_up(op.finish().await),
                Next::Readlink(op) => self.read_link(op.finish().await),
            }
        }
    }

    /// Puts the path or link target `path` before what is to be walked yet.
    fn enter(&mut self, path: &str) -> Result<()> {
        match path.as_bytes() {
            [] => return Err(ErrorCode::NoEntry),
            [b'/', ..] => return Err(ErrorCode::NotPermitted),
            path if path.len() > PATH_MAX => return Err(ErrorCode::NameTooLong),
            _ => {}
        }
        // The rest begins with a `/`, or is empty.
        let rest = &self.text[self.at..];
        let mut text = String::with_capacity(path.len() + rest.len());
        text.push_str(path);
        text.push_str(rest);
        (self.text, self.at) = (text, 0);
        Ok(())
    }

    fn here(&self) -> &V::Inode {
        self.below.last().unwrap_or(&self.base)
    }

    fn next(&mut self) -> Next<V> {
        loop {
            let bytes = self.text.as_bytes();
            let slashes = |at: usize| bytes[at..].iter().take_while(|b| **b == b'/').count();
            let start = self.at + slashes(self.at);
            let length = bytes[start..].iter().take_while(|b| **b != b'/').count();
            let end = start + length;
            let behind = slashes(end);
            self.step = Step {
                name: start..end,
                last: end + behind == bytes.len(),
                slash: behind > 0,
            };
            self.at = end;
            match &bytes[start..end] {
                b"." => {}
                b".." => {
                    if self.below.pop().is_none() {
                        return Next::Done(Err(ErrorCode::NotPermitted));
                    }
                }
                _ => return self.look(),
            }
            if self.step.last {
                return Next::Done(Ok(Place::Object(self.here().clone())));
            }
        }
    }

    fn look(&mut self) -> Next<V> {
        if self.step.last {
            match self.goal {
                Goal::Name => return Next::Done(Ok(self.name())),
                Goal::Create { .. } if self.step.slash => {
                    return Next::Done(Err(ErrorCode::IsDirectory));
                }
                _ => {}
            }
        }
        let name = &self.text[self.step.name.clone()];
        Next::Lookup(self.vfs.lookup(self.here(), name))
    }

    fn looked_up(&mut self, found: Result<V::Inode>) -> Next<V> {
        let inode = match found {
            Ok(inode) => inode,
            Err(ErrorCode::NoEntry) if self.step.last => return Next::Done(Ok(self.name())),
            Err(code) => return Next::Done(Err(code)),
        };
        let on = !self.step.last || self.step.slash;
        let follow = match self.goal {
            Goal::Name => false,
            Goal::Object { follow } | Goal::Create { follow } => follow,
        };
        match self.vfs.descriptor_type(&inode) {
            DescriptorType::SymbolicLink if on || follow => {
                if self.links == LINKS_MAX {
                    return Next::Done(Err(ErrorCode::Loop));
                }
                self.links += 1;
                Next::Readlink(self.vfs.readlink(&inode))
            }
            DescriptorType::Directory if !self.step.last => {
                self.below.push(inode);
                self.next()
            }
            kind if on && kind != DescriptorType::Directory => {
                Next::Done(Err(ErrorCode::NotDirectory))
            }
            _ => Next::Done(Ok(Place::Object(inode))),
        }
    }

    fn read_link(&mut self, target: Result<String>) -> Next<V> {
        match target.and_then(|target| self.enter(&target)) {
            Ok(()) => self.next(),
            Err(code) => Next::Done(Err(code)),
        }
    }

    /// The last step, for who asked for it: `text` is not needed any more.
    fn name(&mut self) -> Place<V::Inode> {
        let mut name = core::mem::take(&mut self.text);
        name.truncate(self.step.name.end);
        name.drain(..self.step.name.start);
        Place::Name(Name {
            dir: self.here().clone(),
            name,
            slash: self.step.slash,
        })
    }
}
