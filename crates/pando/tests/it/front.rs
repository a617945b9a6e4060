//! The front door as a process: what it passes, refuses, keeps and survives.

mod answers;
mod anywhere;
mod balancing;
mod certified;
mod compressed;
mod deceived;
mod discovering;
mod encrypted;
mod faults;
mod forwarded;
mod hostile;
mod http2;
mod keeping;
mod kept;
mod leaving;
mod limited;
mod logged;
mod origin;
mod outage;
mod passing;
mod reaching;
mod real_address;
mod rules;
mod shielding;
mod slow;
mod streams;
