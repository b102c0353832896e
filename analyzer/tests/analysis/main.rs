//! Traces made by hand, judged against a baseline of their like.

mod baseline;
mod faults;
mod host;
mod learning;
mod quiet;
mod shop;
mod windows;
