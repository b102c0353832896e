//! The cases in which a tracer goes wrong first, each made with the real stack and a traced client.
//!
//! What must hold in all of them: no edge to another request's span, no orphan, every part sums; a
//! request that came to its end is whole, one that did not says why.

mod hard;
mod support;
