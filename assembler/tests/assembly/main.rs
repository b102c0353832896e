//! The assembler from outside: recordings and synthetic events in, trees out.

mod common;
mod golden;
mod http;
mod limits;
mod postgres;
mod properties;
mod sim;
mod soup;
mod threads;
mod unseen_hop;
mod ways;
