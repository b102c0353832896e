//! SQL text without its literals: masked and named.

mod lex;
mod mask;
mod summary;

pub use mask::{mask, mask_bytes};
pub use summary::summary;
