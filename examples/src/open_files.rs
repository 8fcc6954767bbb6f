use rustix::process::{Resource, getrlimit, setrlimit};

/// Has the system let this process have as many files open as its user may: a connection is one,
/// and a file of the store two. What is given without asking is 1,024 on most systems.
pub fn allow_all_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "as few files can be open as before");
        }
    }
}
