use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use eventwire::store::{EventStore, MemoryStore};
use eventwire::store_file::FileStore;

use crate::open_files::allow_all_open_files;

/// Which store a server keeps its events in.
#[derive(Debug, Clone, Args)]
pub struct StoreOptions {
    /// Where events are kept.
    #[arg(long, value_enum, default_value = "file", env = "EVENTWIRE_STORE")]
    store: Kind,
    /// The directory of the file store; made where it is missing.
    #[arg(long, value_name = "DIR", env = "EVENTWIRE_DATA")]
    data: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// In memory: gone when the server ends.
    Memory,
    /// In a directory: survives a crash.
    File,
}

/// Opens the store that was asked for; `name` is the default directory's, below `data/`.
///
/// # Errors
/// Where the directory cannot be opened as a store.
pub fn open_store(
    options: &StoreOptions,
    name: &str,
) -> Result<Arc<dyn EventStore>, Box<dyn Error + Send + Sync>> {
    // A store may need more than there are without asking to be opened at all.
    allow_all_open_files();
    Ok(match options.store {
        Kind::Memory => Arc::new(MemoryStore::new()),
        Kind::File => {
            let directory = options
                .data
                .clone()
                .unwrap_or_else(|| PathBuf::from("data").join(name));
            Arc::new(FileStore::open(directory)?)
        }
    })
}
