//! Every verb as a user calls it, against real labs, also with what nobody should send.

#[path = "../support/mod.rs"]
mod support;

mod analyze;
mod compare;
mod doctor;
mod fewer_hooks;
mod follow;
mod hostile_text;
mod import;
mod interruption;
mod lab;
mod privacy;
mod record;
mod report;
mod request_ids;
mod run;
mod usage;
mod verify;
