//! The endpoints, one file per resource.

pub mod health;
pub mod orders;
pub mod products;
pub mod report;
pub mod users;
