//! Names, places and causes as small numbers: a trace is compared with its baseline by these.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cause::{Cause, CauseKind};
use crate::words::statement;

/// Most names, places and causes that are told apart; later ones are all one. A program that makes up
/// statements may not fill the memory.
const LIMIT: usize = 32_768;
const OTHER: &str = "(other)";

/// A name's number.
pub(crate) type NameId = u32;
/// A place's number: where in an endpoint's tree a span stands.
pub(crate) type PlaceId = u32;
/// A cause's number.
pub(crate) type CauseId = u32;

/// Where a span stands: the place of its parent, its name, and its statement or file operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) parent: Option<PlaceId>,
    pub(crate) name: NameId,
    pub(crate) detail: NameId,
}

/// A cause by numbers; `back`: on the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct CauseKey {
    pub(crate) kind: CauseKind,
    pub(crate) of: NameId,
    pub(crate) back: bool,
}

/// All that have a number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Listed", into = "Listed")]
pub(crate) struct Names {
    names: Vec<Arc<str>>,
    places: Vec<Place>,
    causes: Vec<CauseKey>,
    by_name: HashMap<Arc<str>, NameId>,
    by_place: HashMap<Place, PlaceId>,
    by_cause: HashMap<CauseKey, CauseId>,
}

/// What of it stands in a file.
#[derive(Serialize, Deserialize)]
struct Listed {
    names: Vec<Arc<str>>,
    places: Vec<Place>,
    causes: Vec<CauseKey>,
}

impl From<Listed> for Names {
    fn from(listed: Listed) -> Names {
        let mut names = Names::default();
        for name in &listed.names {
            names.push_name(name);
        }
        for place in listed.places {
            names.by_place.insert(place, names.places.len() as u32);
            names.places.push(place);
        }
        for cause in listed.causes {
            names.by_cause.insert(cause, names.causes.len() as u32);
            names.causes.push(cause);
        }
        names
    }
}

impl From<Names> for Listed {
    fn from(names: Names) -> Listed {
        Listed {
            names: names.names,
            places: names.places,
            causes: names.causes,
        }
    }
}

impl Names {
    fn push_name(&mut self, name: &str) -> NameId {
        let id = self.names.len() as u32;
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.by_name.insert(name, id);
        id
    }

    /// The number of a name.
    pub(crate) fn name(&mut self, name: &str) -> NameId {
        match self.by_name.get(name) {
            Some(known) => *known,
            None if self.names.len() < LIMIT || name == OTHER => self.push_name(name),
            None => self.name(OTHER),
        }
    }

    /// The number of a place.
    pub(crate) fn place(&mut self, place: Place) -> PlaceId {
        if let Some(known) = self.by_place.get(&place) {
            return *known;
        }
        let full = self.places.len() >= LIMIT;
        let other = full.then(|| self.name(OTHER));
        let place = other.map_or(place, |other| Place {
            parent: None,
            name: other,
            detail: other,
        });
        let places = &mut self.places;
        *self.by_place.entry(place).or_insert_with(|| {
            places.push(place);
            places.len() as u32 - 1
        })
    }

    /// The number of a cause.
    pub(crate) fn cause(&mut self, key: CauseKey) -> CauseId {
        if let Some(known) = self.by_cause.get(&key) {
            return *known;
        }
        self.causes.push(key);
        let id = self.causes.len() as u32 - 1;
        self.by_cause.insert(key, id);
        id
    }

    /// What a name's number stands for.
    pub(crate) fn text(&self, name: NameId) -> &Arc<str> {
        &self.names[name as usize]
    }

    /// What a place's number stands for.
    pub(crate) fn at(&self, place: PlaceId) -> Place {
        self.places[place as usize]
    }

    /// The statement or file operation at a place; empty where it has none.
    pub(crate) fn detail(&self, place: PlaceId) -> &Arc<str> {
        self.text(self.at(place).detail)
    }

    /// The kind of a cause.
    pub(crate) fn kind_of(&self, cause: CauseId) -> CauseKind {
        self.causes[cause as usize].kind
    }

    /// What a cause's number stands for.
    pub(crate) fn cause_of(&self, cause: CauseId) -> Cause {
        let key = self.causes[cause as usize];
        Cause::new(key.kind, self.text(key.of), key.back)
    }

    /// The place in words, from the outermost that is not the request itself.
    pub(crate) fn path(&self, place: PlaceId) -> String {
        let mut words = Vec::new();
        let mut next = Some(place);
        while let Some(place) = next.map(|id| self.at(id)) {
            let (name, detail) = (self.text(place.name), self.text(place.detail));
            words.push(match detail.is_empty() {
                true => name.to_string(),
                false => format!("{name} {}", statement(detail)),
            });
            next = place.parent;
        }
        words.reverse();
        words.join(" › ")
    }

    /// Numbers of everything in `other` here, made where needed.
    pub(crate) fn adopt(&mut self, other: &Names) -> Adopted {
        let names: Vec<NameId> = other.names.iter().map(|name| self.name(name)).collect();
        let mut places: Vec<PlaceId> = Vec::with_capacity(other.places.len());
        for place in &other.places {
            let place = Place {
                parent: place.parent.map(|parent| places[parent as usize]),
                name: names[place.name as usize],
                detail: names[place.detail as usize],
            };
            places.push(self.place(place));
        }
        let causes = other.causes.iter().map(|key| CauseKey {
            of: names[key.of as usize],
            ..*key
        });
        let causes = causes.map(|key| self.cause(key)).collect();
        Adopted { places, causes }
    }

    /// Whether every number in it stands for something: a file may say anything.
    pub(crate) fn is_sound(&self) -> bool {
        let named = |name: NameId| (name as usize) < self.names.len();
        let places = self.places.iter().enumerate();
        let mut places = places.map(|(at, place)| {
            let before = place.parent.is_none_or(|parent| (parent as usize) < at);
            before && named(place.name) && named(place.detail)
        });
        places.all(|sound| sound) && self.causes.iter().all(|key| named(key.of))
    }

    pub(crate) fn has_place(&self, place: PlaceId) -> bool {
        (place as usize) < self.places.len()
    }

    pub(crate) fn has_cause(&self, cause: CauseId) -> bool {
        (cause as usize) < self.causes.len()
    }
}

/// Another one's numbers, translated.
pub(crate) struct Adopted {
    places: Vec<PlaceId>,
    causes: Vec<CauseId>,
}

impl Adopted {
    pub(crate) fn place(&self, place: PlaceId) -> PlaceId {
        self.places[place as usize]
    }

    pub(crate) fn cause(&self, cause: CauseId) -> CauseId {
        self.causes[cause as usize]
    }
}
