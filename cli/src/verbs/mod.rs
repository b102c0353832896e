//! One file per verb.

pub mod analyze;
pub mod assemble;
pub mod compare;
pub mod doctor;
pub mod export;
pub mod import;
pub mod lab;
pub mod load;
pub mod record;
pub mod report;
pub mod run;
pub mod show;
pub mod verify;
