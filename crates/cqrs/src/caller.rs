use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Who asks: of whatever type the program says who somebody is by.
#[derive(Clone, Default)]
pub struct Caller(Option<Arc<dyn Any + Send + Sync>>);

impl Caller {
    /// Somebody.
    pub fn new<T: Send + Sync + 'static>(somebody: T) -> Self {
        Self(Some(Arc::new(somebody)))
    }

    /// Who it is; none where that was not said, or said in another type.
    #[must_use]
    pub fn as_ref<T: 'static>(&self) -> Option<&T> {
        self.0.as_ref()?.downcast_ref()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "Caller(..)",
            None => "Caller(nobody)",
        })
    }
}
