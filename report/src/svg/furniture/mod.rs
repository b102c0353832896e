//! What stands around the bars.

pub(super) mod axis;
pub(super) mod footer;
pub(super) mod heading;
pub(super) mod lane_frame;
pub(super) mod legend;
