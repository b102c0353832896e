//! SQL text without its literals: masked and named.

mod fingerprint;
mod lex;
mod mask;
mod summary;

pub use fingerprint::fingerprint;
pub use mask::{mask, mask_bytes};
pub use summary::summary;
