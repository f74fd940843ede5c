//! What rules consist of: expressions that load something of a packet, compare it, or decide.

use super::nfnetlink::Attributes;

/// Registers of 16 bytes, of which the second stands behind the first.
pub(super) const REGISTER_1: u32 = 1;
pub(super) const REGISTER_2: u32 = 2;

/// Where in a packet something is, and how long.
#[derive(Clone, Copy)]
pub(super) struct Field {
    header: u32,
    offset: u32,
    len: u32,
}

impl Field {
    /// Of the IP header.
    pub(super) const fn network(offset: u32, len: u32) -> Self {
        let header = 1;
        Self {
            header,
            offset,
            len,
        }
    }

    /// Of the header that follows it.
    pub(super) const fn transport(offset: u32, len: u32) -> Self {
        let header = 2;
        Self {
            header,
            offset,
            len,
        }
    }
}

/// How bytes are compared (NFT_CMP_*).
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Equal = 0,
    AtMost = 3,
    AtLeast = 5,
}

/// What becomes of a packet (NF_*).
#[derive(Clone, Copy)]
pub(super) enum Verdict {
    Drop = 0,
    Accept = 1,
}

/// Loads a part of the packet into the first register.
pub(super) fn payload(field: Field) -> Attributes {
    let data = Attributes::default()
        .number(1, REGISTER_1)
        .number(2, field.header)
        .number(3, field.offset)
        .number(4, field.len);
    expression("payload", data)
}

/// Loads what is known of the packet (NFT_META_*) into a register.
pub(super) fn meta(key: u32, register: u32) -> Attributes {
    let data = Attributes::default().number(1, register).number(2, key);
    expression("meta", data)
}

/// Compares what is in the first register: if it is not so, the rule ends.
pub(super) fn compare(operation: Operation, with: &[u8]) -> Attributes {
    let data = Attributes::default()
        .number(1, REGISTER_1)
        .number(2, operation as u32)
        .nested(3, Attributes::data(with));
    expression("cmp", data)
}

/// Looks in a set for what begins in the first register: if it is not there, the rule ends.
pub(super) fn lookup(set: &str) -> Attributes {
    let data = Attributes::default().text(1, set).number(2, REGISTER_1);
    expression("lookup", data)
}

/// Puts bytes into a register.
pub(super) fn immediate(register: u32, value: &[u8]) -> Attributes {
    let data = Attributes::default()
        .number(1, register)
        .nested(2, Attributes::data(value));
    expression("immediate", data)
}

/// Sends a copy of the packet to an address by an interface, both of which are in registers.
pub(super) fn duplicate(address: u32, interface: u32) -> Attributes {
    let data = Attributes::default()
        .number(1, address)
        .number(2, interface);
    expression("dup", data)
}

/// Counts.
pub(super) fn counter() -> Attributes {
    expression("counter", Attributes::default())
}

/// Decides.
pub(super) fn verdict(verdict: Verdict) -> Attributes {
    const VERDICT_REGISTER: u32 = 0;
    let code = Attributes::default().number(1, verdict as u32);
    let data = Attributes::default()
        .number(1, VERDICT_REGISTER)
        .nested(2, Attributes::default().nested(2, code));
    expression("immediate", data)
}

fn expression(name: &str, data: Attributes) -> Attributes {
    Attributes::default().text(1, name).nested(2, data)
}
