use std::borrow::Cow;

use eventwire_store::{EventType, NameError, RecordedEvent, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What can happen, as an externally tagged serde enum (serde's default form).
///
/// The variant's name, as `rename_all` spells it, is the event's type; the variant's content
/// is the payload, as JSON. Most events need nothing more:
///
/// ```
/// use eventwire_cqrs::DomainEvent;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// #[serde(rename_all = "kebab-case")]
/// enum RoomEvent {
///     MessagePosted { text: String },
/// }
/// impl DomainEvent for RoomEvent {}
/// ```
///
/// # Histories that were written by an older program
///
/// Serde's own attributes go a long way: `alias` reads an old type name, `default` fills a
/// field that was added, `from` on a variant's struct reads an old shape. What they cannot
/// say is said in [`upcast`](Self::upcast). All of it lies in the codec, so that deciders,
/// projections and process managers see the same history.
pub trait DomainEvent: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Names of types that only [`upcast`](Self::upcast) knows: read, never written.
    const OLD_TYPES: &'static [&'static str] = &[];

    /// The tags it is written with: none, unless overridden.
    ///
    /// # Errors
    /// [`NameError`] where what the event says cannot be a tag.
    fn tags(&self) -> Result<Vec<Tag>, NameError> {
        Ok(Vec::new())
    }

    /// Turns what an older program wrote into what this one reads; called for every event,
    /// before it is decoded. Does nothing, unless overridden.
    ///
    /// ```
    /// use eventwire_cqrs::{DomainEvent, Stored};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// #[serde(rename_all = "kebab-case")]
    /// enum Account {
    ///     Paid { cents: u64 },
    /// }
    ///
    /// impl DomainEvent for Account {
    ///     const OLD_TYPES: &'static [&'static str] = &["paid-in-euros"];
    ///
    ///     fn upcast(stored: &mut Stored<'_>) -> serde_json::Result<()> {
    ///         if stored.event_type() == "paid-in-euros" {
    ///             stored.rename("paid");
    ///             stored.edit(|content| {
    ///                 let euros = content["euros"].as_u64().unwrap_or_default();
    ///                 content["cents"] = (euros * 100).into();
    ///             })?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// # let mut old = Stored::new("paid-in-euros", br#"{"euros":3}"#);
    /// # Account::upcast(&mut old).unwrap();
    /// # assert_eq!(old.event_type(), "paid");
    /// # assert_eq!(old.data(), br#"{"cents":300,"euros":3}"#);
    /// ```
    ///
    /// # Errors
    /// What `serde_json` says where a payload is not JSON: the event is then
    /// [`Unreadable`](crate::codec::CodecError::Unreadable).
    #[expect(unused_variables, reason = "the name is for those who override it")]
    fn upcast(stored: &mut Stored<'_>) -> serde_json::Result<()> {
        Ok(())
    }
}

/// An event as it was written, on its way to being read.
#[derive(Debug, Clone)]
pub struct Stored<'a> {
    name: Name<'a>,
    data: Cow<'a, [u8]>,
}

/// The name of an event's type, or of a command. A recorded type is looked at as text only where
/// it must be: that it is UTF-8 would be checked again, and each time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name<'a> {
    Recorded(&'a EventType),
    Text(&'a str),
}

impl<'a> Name<'a> {
    pub(crate) fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Recorded(event_type) => event_type.as_bytes(),
            Self::Text(text) => text.as_bytes(),
        }
    }

    pub(crate) fn as_str(self) -> &'a str {
        match self {
            Self::Recorded(event_type) => event_type.as_str(),
            Self::Text(text) => text,
        }
    }
}

impl<'a> Stored<'a> {
    /// An event of a type, with its payload.
    #[must_use]
    pub const fn new(event_type: &'a str, data: &'a [u8]) -> Self {
        Self {
            name: Name::Text(event_type),
            data: Cow::Borrowed(data),
        }
    }

    pub(crate) fn of(event: &'a RecordedEvent) -> Self {
        Self {
            name: Name::Recorded(&event.event_type),
            data: Cow::Borrowed(&event.data),
        }
    }

    pub(crate) const fn name(&self) -> Name<'a> {
        self.name
    }

    /// Its type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        self.name.as_str()
    }

    /// Its payload.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Gives it another type.
    pub fn rename(&mut self, event_type: &'a str) {
        self.name = Name::Text(event_type);
    }

    /// Gives it another payload.
    pub fn replace(&mut self, data: impl Into<Vec<u8>>) {
        self.data = Cow::Owned(data.into());
    }

    /// Changes its payload as JSON.
    ///
    /// # Errors
    /// What `serde_json` says where the payload is not JSON.
    pub fn edit(&mut self, change: impl FnOnce(&mut Value)) -> serde_json::Result<()> {
        let mut content = serde_json::from_slice(&self.data)?;
        change(&mut content);
        self.replace(serde_json::to_vec(&content)?);
        Ok(())
    }
}
