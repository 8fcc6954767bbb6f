use eventwire_store::{QueryItem, Scope};

use super::View;
use super::file::BadIndex;
use super::list::List;
use super::search::Next;
use super::term::Term;

/// One alternative: a position matches where it is in every clause.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) clauses: Vec<Clause<'a>>,
    first: u64,
}

/// A position is in it where any of its lists holds it.
#[derive(Debug)]
pub(super) struct Clause<'a> {
    pub(super) lists: Vec<List<'a>>,
}

impl<'a> Item<'a> {
    pub(super) fn new(view: View<'a>, first: u64, item: &QueryItem) -> Result<Self, BadIndex> {
        let mut clauses = Vec::new();
        match item.scope() {
            Scope::Log => {}
            Scope::Streams(names) => {
                let lists = names.iter().map(|name| view.list(Term::Stream(name)));
                clauses.push(lists.collect());
            }
            Scope::Category(name) => {
                let list = view.list(Term::Category(name));
                clauses.push(list.map(|list| vec![list]));
            }
            // A kind of scope that has no index yet finds nothing.
            _ => clauses.push(Ok(Vec::new())),
        }
        if !item.types().is_empty() {
            let types = item.types().iter();
            let lists = types.map(|name| view.list(Term::Type(name)));
            clauses.push(lists.collect());
        }
        for tag in item.tags() {
            let list = view.list(Term::Tag(tag));
            clauses.push(list.map(|list| vec![list]));
        }
        let clauses = clauses
            .into_iter()
            .map(|lists| Ok(Clause { lists: lists? }))
            .collect::<Result<_, _>>()?;
        Ok(Self { clauses, first })
    }

    /// Leaps from clause to clause until all of them hold the same position.
    pub(super) fn forward(&self, from: u64, to: u64, looks: &mut usize) -> Result<Next, BadIndex> {
        let mut at = from;
        while at <= to {
            let mut highest = at;
            for clause in &self.clauses {
                match clause.first_from(at)? {
                    Some(position) => highest = highest.max(position),
                    None => return Ok(Next::Nothing),
                }
            }
            if highest == at {
                return Ok(Next::At(at));
            }
            at = highest;
            match looks.checked_sub(1) {
                Some(left) => *looks = left,
                None if at <= to => return Ok(Next::LookedTo(at)),
                None => break,
            }
        }
        Ok(Next::Nothing)
    }

    pub(super) fn backward(&self, from: u64, looks: &mut usize) -> Result<Next, BadIndex> {
        let mut at = from;
        while at >= self.first {
            let mut lowest = at;
            for clause in &self.clauses {
                match clause.last_to(at)? {
                    Some(position) => lowest = lowest.min(position),
                    None => return Ok(Next::Nothing),
                }
            }
            if lowest == at {
                return Ok(Next::At(at));
            }
            at = lowest;
            match looks.checked_sub(1) {
                Some(left) => *looks = left,
                None => return Ok(Next::LookedTo(at)),
            }
        }
        Ok(Next::Nothing)
    }
}

impl Clause<'_> {
    /// The lowest position at or above `from`.
    #[inline]
    pub(super) fn first_from(&self, from: u64) -> Result<Option<u64>, BadIndex> {
        // Mostly there is but one.
        if let [list] = &self.lists[..] {
            return list.first_from(from);
        }
        let mut lowest = None;
        for list in &self.lists {
            let found = list.first_from(from)?;
            lowest = lowest.into_iter().chain(found).min();
        }
        Ok(lowest)
    }

    /// The highest position at or below `to`.
    pub(super) fn last_to(&self, to: u64) -> Result<Option<u64>, BadIndex> {
        let mut highest = None;
        for list in &self.lists {
            highest = highest.max(list.last_to(to)?);
        }
        Ok(highest)
    }
}
