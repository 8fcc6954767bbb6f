use std::io;
use std::time::SystemTime;

use eventwire_store::{Epoch, backend};

use crate::error::{Damage, OpenError};
use crate::format::{Kind, LABEL_BYTES, Label, LabelError};
use crate::index::remainder_first_in;
use crate::parts::is_part;
use crate::segment::{self, FRAMES_FROM, Growth, Tail};
use crate::storage::{Storage, StorageFile, UNFINISHED, Unpublished};

/// The file that makes a directory a store. It is made last: where it is, there is a log.
pub(crate) const IDENTITY: &str = "IDENTITY";

/// What an unfinished backup has in its place. It gets the other name when it is whole.
pub(crate) const UNFINISHED_BACKUP: &str = "BACKUP";

/// Reads the identity of a store, and makes the store where there is none.
pub(crate) fn read_or_create(storage: &dyn Storage, growth: Growth) -> Result<Label, OpenError> {
    let names = storage.list().map_err(OpenError::io("listing", "."))?;
    remove_unfinished(storage, &names)?;
    // An earlier process may have named a file and not lived to make the name durable.
    storage.sync().map_err(OpenError::io("syncing", "."))?;
    if names.iter().any(|name| name == IDENTITY) {
        return read(storage);
    }
    refuse_lost_identity(storage, &names)?;
    create(storage, growth)
}

/// Reads the identity of a store, where there is one.
pub(crate) fn read(storage: &dyn Storage) -> Result<Label, OpenError> {
    let file = storage
        .open(IDENTITY)
        .map_err(OpenError::io("opening", IDENTITY))?;
    read_label(&*file, Kind::Identity, IDENTITY)
}

/// The identity of a store as its segments have it; none where no segment has a good label.
pub(crate) fn of_segments(storage: &dyn Storage, firsts: &[u64]) -> Option<Label> {
    firsts.iter().find_map(|&first| {
        let name = segment::name(first);
        let file = storage.open(&name).ok()?;
        let label = read_label(&*file, Kind::Segment, &name).ok()?;
        Some(Label {
            kind: Kind::Identity,
            first: 0,
            generation: 0,
            ..label
        })
    })
}

/// Removes what was being made when the process or the power ended. Nothing depends on it.
fn remove_unfinished(storage: &dyn Storage, names: &[String]) -> Result<(), OpenError> {
    let is_ours = |name: &str| name == IDENTITY || is_part(name);
    let is_store = names.iter().any(|name| name == IDENTITY);
    for name in names {
        // What marks a backup as unfinished goes last, once that has its identity.
        let is_mark = is_store && name == UNFINISHED_BACKUP;
        if is_mark || name.strip_suffix(UNFINISHED).is_some_and(is_ours) {
            storage
                .remove(name)
                .map_err(OpenError::io("removing", name))?;
        }
    }
    Ok(())
}

/// Reads the label of a file.
pub(crate) fn read_label(
    file: &dyn StorageFile,
    kind: Kind,
    name: &str,
) -> Result<Label, OpenError> {
    let length = file.length().map_err(OpenError::io("reading", name))?;
    let mut bytes = [0; LABEL_BYTES];
    if length >= FRAMES_FROM {
        file.read_at(&mut bytes, 0)
            .map_err(OpenError::io("reading", name))?;
    }
    let present = if length >= FRAMES_FROM {
        &bytes[..]
    } else {
        &[]
    };
    Label::decode(kind, present).map_err(|error| match error {
        LabelError::Damaged(what) => OpenError::Damaged(Damage::new(name, 0, what)),
        LabelError::Version(version) => OpenError::UnknownVersion {
            file: name.to_owned(),
            version,
        },
    })
}

/// Making a store that was interrupted leaves one segment without a frame. Any more than that
/// is a store that has lost its identity, which must not be taken for a new one.
fn refuse_lost_identity(storage: &dyn Storage, names: &[String]) -> Result<(), OpenError> {
    if names.iter().any(|name| name.starts_with(UNFINISHED_BACKUP)) {
        let what = "it says that this is a backup which was not finished: make it again";
        let damage = Damage::new(UNFINISHED_BACKUP, 0, what);
        return Err(OpenError::Damaged(damage));
    }
    for name in names {
        if remainder_first_in(name).is_some() {
            let what = format!("there is no such file, but there is {name}");
            return Err(OpenError::Damaged(Damage::new(IDENTITY, 0, what)));
        }
        let Some(first) = segment::first_in(name) else {
            continue;
        };
        if first != 1 || has_frames(storage, name)? {
            let what = format!("there is no such file, but there is {name}, which holds events");
            return Err(OpenError::Damaged(Damage::new(IDENTITY, 0, what)));
        }
    }
    Ok(())
}

fn has_frames(storage: &dyn Storage, name: &str) -> Result<bool, OpenError> {
    let file = storage.open(name).map_err(OpenError::io("opening", name))?;
    let length = file.length().map_err(OpenError::io("reading", name))?;
    let mut first = [0; 8];
    let is_long = length >= FRAMES_FROM + 8;
    if is_long {
        file.read_at(&mut first, FRAMES_FROM)
            .map_err(OpenError::io("reading", name))?;
    }
    Ok(first != [0; 8])
}

fn create(storage: &dyn Storage, growth: Growth) -> Result<Label, OpenError> {
    let identity = Label {
        kind: Kind::Identity,
        store: backend::assign_uuid(SystemTime::now()),
        epoch: Epoch::random(),
        first: 0,
        generation: 0,
    };
    let first = segment::name(1);
    Tail::create(storage, &identity, 1, 0, growth).map_err(OpenError::io("creating", &first))?;
    publish(storage, &identity).map_err(OpenError::io("creating", IDENTITY))?;
    Ok(identity)
}

/// Puts an identity in the place of the one there is, durably.
pub(crate) fn publish(storage: &dyn Storage, identity: &Label) -> io::Result<()> {
    write(storage, IDENTITY, identity)?;
    storage.sync()
}

/// Writes a label and nothing else to a file of this name; its name is not durable yet.
pub(crate) fn write(storage: &dyn Storage, name: &str, label: &Label) -> io::Result<()> {
    let made = Unpublished::create(storage, name)?;
    made.file.write_at(&label.encode(), 0)?;
    made.publish().map(drop)
}
