//! The objects of an overlay, one for each object that is in use.

use super::Key;
use crate::backend::{Directory, File, Result};
use crate::{DescriptorStat, DescriptorType, ErrorCode};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use wasi_io::sync::Mutex;

/// An object of an [`Overlay`](super::Overlay), whichever of the layers it is in.
pub struct Node {
    table: Arc<Table>,
    kind: DescriptorType,
    /// Held for a moment, never while a layer works.
    state: Mutex<State>,
}

pub(super) struct State {
    /// Device and inode, as guests see them; the topmost directory's are looked for when they
    /// are asked for.
    pub(super) number: Option<(u64, u64)>,
    /// Where it was found last; the topmost directory has none.
    pub(super) place: Option<Place>,
    pub(super) body: Body,
    keys: Vec<Key>,
}

#[derive(Clone)]
pub(super) struct Place {
    pub(super) dir: Arc<Node>,
    pub(super) name: Box<str>,
}

pub(super) enum Body {
    Directory(Layers),
    Other(Other),
}

/// A directory's parts. One that was removed has no lower part, and an upper one in which
/// nothing can be made, or none.
#[derive(Clone, Default)]
pub(super) struct Layers {
    pub(super) upper: Option<Arc<dyn Directory>>,
    pub(super) lower: Option<Arc<dyn Directory>>,
    /// The lower part that it had: only to tell of what is still open.
    pub(super) hidden: Option<Arc<dyn Directory>>,
}

/// What is no directory.
#[derive(Clone)]
pub(super) struct Other {
    /// It is in the upper layer.
    pub(super) upper: bool,
    /// Its name in the lower layer was taken away: it lives on for who has it open.
    pub(super) unlinked: bool,
    /// What was known when it was last looked up.
    pub(super) stat: DescriptorStat,
    /// The target, of a symbolic link.
    pub(super) target: Option<String>,
    /// Open for reading, for all who have it open, in the layer where it is.
    pub(super) reader: Option<Arc<dyn File>>,
    /// Open for reading and writing, in the upper layer.
    pub(super) writer: Option<Arc<dyn File>>,
}

impl Node {
    pub(super) fn new(
        table: &Arc<Table>,
        kind: DescriptorType,
        number: Option<(u64, u64)>,
        place: Option<Place>,
        body: Body,
    ) -> Arc<Self> {
        Arc::new(Self {
            table: table.clone(),
            kind,
            state: Mutex::new(State {
                number,
                place,
                body,
                keys: Vec::new(),
            }),
        })
    }

    pub(super) fn kind(&self) -> DescriptorType {
        self.kind
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == DescriptorType::Directory
    }

    /// `f` on what is known of it.
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock())
    }

    pub(super) fn number(&self) -> Option<(u64, u64)> {
        self.with(|state| state.number)
    }

    pub(super) fn place(&self) -> Result<Place> {
        self.with(|state| state.place.clone())
            .ok_or(ErrorCode::NoEntry)
    }

    pub(super) fn set_place(&self, place: Place) {
        let place = Some(place);
        // The directory before may be in use by this alone: it is not dropped under the lock.
        let before = self.with(|state| core::mem::replace(&mut state.place, place));
        drop(before);
    }

    /// The parts of a directory; none of anything else.
    pub(super) fn layers(&self) -> Layers {
        self.with(|state| match &state.body {
            Body::Directory(layers) => layers.clone(),
            Body::Other(_) => Layers::default(),
        })
    }

    pub(super) fn set_upper(&self, upper: Arc<dyn Directory>) {
        self.with(|state| {
            if let Body::Directory(layers) = &mut state.body {
                layers.upper = Some(upper);
            }
        });
    }

    /// The lower part is hidden from now on.
    pub(super) fn hide_lower(&self) {
        self.with(|state| {
            if let Body::Directory(layers) = &mut state.body
                && layers.lower.is_some()
            {
                layers.hidden = layers.lower.take();
            }
        });
    }

    pub(super) fn other(&self) -> Option<Other> {
        self.with(|state| match &state.body {
            Body::Directory(_) => None,
            Body::Other(other) => Some(other.clone()),
        })
    }

    /// `f` on what is no directory.
    pub(super) fn update(&self, f: impl FnOnce(&mut Other)) {
        self.with(|state| {
            if let Body::Other(other) = &mut state.body {
                f(other);
            }
        });
    }

    /// What an open file reads from.
    pub(super) fn reader(&self) -> Option<Arc<dyn File>> {
        self.with(|state| match &state.body {
            Body::Directory(_) => None,
            Body::Other(other) => other.writer.as_ref().or(other.reader.as_ref()).cloned(),
        })
    }

    pub(super) fn writer(&self) -> Option<Arc<dyn File>> {
        self.with(|state| match &state.body {
            Body::Directory(_) => None,
            Body::Other(other) => other.writer.clone(),
        })
    }

    fn take_parent(&mut self) -> Option<Arc<Self>> {
        self.with(|state| state.place.take()).map(|place| place.dir)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let keys = self.with(|state| core::mem::take(&mut state.keys));
        self.table.remove(keys);
        // One by one: a path may be longer than the stack is deep.
        let mut parent = self.take_parent();
        while let Some(mut node) = parent.and_then(Arc::into_inner) {
            parent = node.take_parent();
        }
    }
}

/// The objects that are in use, by what they are in the layers.
#[derive(Default)]
pub(super) struct Table(Mutex<BTreeMap<Key, Weak<Node>>>);

impl Table {
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Node>> {
        self.0.lock().get(key).and_then(Weak::upgrade)
    }

    pub(super) fn insert(&self, key: Key, node: &Arc<Node>) {
        node.with(|state| state.keys.push(key.clone()));
        self.0.lock().insert(key, Arc::downgrade(node));
    }

    fn remove(&self, keys: Vec<Key>) {
        let mut table = self.0.lock();
        for key in keys {
            // Another object may have come in its place.
            if table.get(&key).is_some_and(|node| node.strong_count() == 0) {
                table.remove(&key);
            }
        }
    }
}
