use eventwire_store::{Category, EventType, StreamName, Tag};

use crate::format::ListingKind;

/// What a query asks for, and an index lists positions under.
#[derive(Debug, Clone, Copy)]
pub(super) enum Term<'a> {
    Stream(&'a StreamName),
    Category(&'a Category),
    Type(&'a EventType),
    Tag(&'a Tag),
}

impl<'a> Term<'a> {
    pub(super) fn kind(self) -> ListingKind {
        match self {
            Self::Stream(_) => ListingKind::Stream,
            Self::Category(_) => ListingKind::Category,
            Self::Type(_) => ListingKind::Type,
            Self::Tag(_) => ListingKind::Tag,
        }
    }

    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Stream(name) => name.as_str(),
            Self::Category(name) => name.as_str(),
            Self::Type(name) => name.as_str(),
            Self::Tag(name) => name.as_str(),
        }
    }
}
