//! The stage (`stage`), the traced client (`puppet`) and what the recording tells (`seen`); then
//! the cases.

mod addresses;
mod changes;
mod connections;
mod ends;
mod large;
mod loss;
mod puppet;
mod seen;
mod stage;
