//! The same event at a later time, on another socket.

use tierscope_model::{Body, Event, Nanos, SocketCookie, Timestamp};

/// Makes of `event` the one that is `shift` nanoseconds later, in repetition `turn`.
pub fn again(event: &mut Event, shift: Nanos, turn: u64) {
    let later = |time: &mut Timestamp| *time = *time + shift;
    let other = |cookie: &mut SocketCookie| cookie.0 += turn << 40;
    later(&mut event.time);
    match &mut event.body {
        Body::Socket(socket) => {
            other(&mut socket.cookie);
            later(&mut socket.start);
        }
        Body::Send(send) => {
            other(&mut send.cookie);
            later(&mut send.start);
            if let Some((_, left)) = &mut send.transmitted {
                later(left);
            }
        }
        Body::Recv(recv) => {
            other(&mut recv.cookie);
            if let Some(arrival) = &mut recv.arrival {
                other(&mut arrival.cookie);
                later(&mut arrival.time);
            }
        }
        Body::Arrive(arrive) => {
            other(&mut arrive.cookie);
            later(&mut arrive.time);
        }
        Body::Switch(switch) => {
            let times = [&mut switch.off_at, &mut switch.woken_at];
            times.into_iter().flatten().for_each(later);
            later(&mut switch.before.since);
            later(&mut switch.before.until);
        }
        Body::File(file) => later(&mut file.start),
        Body::Block(block) => later(&mut block.issued),
        Body::Loss(loss) => {
            later(&mut loss.first);
            later(&mut loss.last);
        }
        Body::Retransmit(retransmit) => other(&mut retransmit.cookie),
        Body::Close(close) => other(&mut close.cookie),
        Body::Transmit(transmit) => other(&mut transmit.cookie),
        Body::Dropped(dropped) => other(&mut dropped.cookie),
        Body::Accepted(accepted) => other(&mut accepted.cookie),
        Body::Skipped(skipped) => other(&mut skipped.cookie),
        Body::Usdt(_)
        | Body::Process(_)
        | Body::Filtered(_)
        | Body::FileName(_)
        | Body::Buffers(_)
        | Body::Stack(_)
        | Body::Turned(_) => {}
    }
}
