//! Where a probe's arguments are: the assembler operands of an ELF note.
//!
//! One argument is `N@OPERAND`: its size in bytes, negative when signed, and where it lies. x86-64 has
//! `%reg`, `$constant`, `disp(%base)`, `disp(%base,%index,scale)` and `disp+symbol(%rip)`; aarch64 `reg`,
//! `constant` and `[base, disp]`.

use thiserror::Error;

use super::note::Machine;
use crate::wire_record::{TS_ARG_CONST, TS_ARG_MEM, TS_ARG_MEM_INDEXED, TS_ARG_REG, ts_arg};

/// Arguments of a probe that are looked at; further ones are passed over.
pub const MAX_ARGS: usize = 8;
/// Those of them that a record has.
const KEPT: usize = 6;

/// An operand that is not understood.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the operand `{operand}` is not supported")]
pub struct ArgError {
    /// As in the note.
    pub operand: String,
}

/// The arguments of one probe location.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// Where each is; those beyond `count` are of kind `TS_ARG_NONE`.
    pub args: [ts_arg; MAX_ARGS],
    /// How many there are.
    pub count: u8,
}

impl Args {
    /// The arguments that a record has, with the one at `sixth` in the last place, and how many there are.
    pub fn kept(&self, sixth: usize) -> ([ts_arg; KEPT], u8) {
        let mut kept = [ts_arg::default(); KEPT];
        kept.copy_from_slice(&self.args[..KEPT]);
        kept[KEPT - 1] = self.args.get(sixth).copied().unwrap_or_default();
        (kept, self.count.min(KEPT as u8))
    }
}

/// The code around a probe, which its operands may refer to.
pub struct Place<'a> {
    /// Whose operands they are.
    pub machine: Machine,
    /// How far a symbol lies from the probe's instruction.
    pub distance: &'a dyn Fn(&str) -> Option<i64>,
}

/// Parses the arguments of a note, the first [`MAX_ARGS`] of them.
///
/// # Errors
///
/// An operand of a form that the machine does not have, or a symbol that is not there.
pub fn parse(place: &Place<'_>, text: &str) -> Result<Args, ArgError> {
    let mut parsed = Args::default();
    for (slot, operand) in parsed.args.iter_mut().zip(split(text)) {
        *slot = parse_one(place, operand).ok_or_else(|| ArgError {
            operand: operand.into(),
        })?;
        parsed.count += 1;
    }
    Ok(parsed)
}

/// Operands are separated by spaces, but a space may also stand inside aarch64's brackets.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.split(move |c| {
        inside = (inside || c == '[') && c != ']';
        c == ' ' && !inside
    })
    .filter(|operand| !operand.is_empty())
}

fn parse_one(place: &Place<'_>, text: &str) -> Option<ts_arg> {
    let (size, operand) = text.split_once('@')?;
    let size: i8 = size.parse().ok()?;
    let mut arg = match place.machine {
        Machine::X86_64 => x86_64(operand, place.distance)?,
        Machine::Aarch64 => aarch64(operand)?,
        Machine::Other => return None,
    };
    arg.size = size.unsigned_abs();
    arg.is_signed = (size < 0).into();
    matches!(arg.size, 1 | 2 | 4 | 8).then_some(arg)
}

fn constant(text: &str) -> Option<ts_arg> {
    Some(ts_arg {
        kind: TS_ARG_CONST as u8,
        value: parse_i64(text)?,
        ..Default::default()
    })
}

fn register(offset: u16) -> ts_arg {
    ts_arg {
        kind: TS_ARG_REG as u8,
        reg_offset: offset,
        ..Default::default()
    }
}

fn memory(base: u16, displacement: i64) -> ts_arg {
    ts_arg {
        kind: TS_ARG_MEM as u8,
        reg_offset: base,
        value: displacement,
        ..Default::default()
    }
}

/// Decimal or hexadecimal, signed; constants over `i64::MAX` keep their bits.
fn parse_i64(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        // A second sign would pass `parse`.
        None if !digits.starts_with('+') => digits.parse::<u64>().ok()?,
        None => return None,
    };
    Some(if negative {
        (value as i64).wrapping_neg()
    } else {
        value as i64
    })
}

/// The instruction pointer in `pt_regs`: at a probe, the probe's own address.
const X86_64_IP: u16 = 128;

fn x86_64(operand: &str, distance: &dyn Fn(&str) -> Option<i64>) -> Option<ts_arg> {
    if let Some(value) = operand.strip_prefix('$') {
        return constant(value);
    }
    if let Some(name) = operand.strip_prefix('%') {
        return x86_64_register(name).map(register);
    }
    let (displacement, inside) = operand.strip_suffix(')')?.split_once('(')?;
    if inside == "%rip" {
        return Some(memory(X86_64_IP, symbolic(displacement, distance)?));
    }
    let displacement = match displacement {
        "" => 0,
        text => parse_i64(text)?,
    };
    let mut parts = inside.split(',');
    let base = x86_64_register(parts.next()?.strip_prefix('%')?)?;
    let mut arg = memory(base, displacement);
    if let Some(index) = parts.next() {
        arg.kind = TS_ARG_MEM_INDEXED as u8;
        arg.index_offset = x86_64_register(index.strip_prefix('%')?)?;
        arg.scale = parts.next().unwrap_or("1").parse().ok()?;
        if !matches!(arg.scale, 1 | 2 | 4 | 8) {
            return None;
        }
    }
    parts.next().is_none().then_some(arg)
}

/// `symbol`, `40+symbol` or `symbol+40`, as the distance from the probe.
fn symbolic(text: &str, distance: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
    let (first, second) = text.split_once('+').unwrap_or(("0", text));
    let (number, symbol) = match parse_i64(first) {
        Some(number) => (number, second),
        None => (parse_i64(second)?, first),
    };
    distance(symbol)?.checked_add(number)
}

/// Offset in `pt_regs` of a register or of its low part (`%ah` and its like are high parts: not supported).
fn x86_64_register(name: &str) -> Option<u16> {
    const NAMES: [(u16, [&str; 4]); 16] = [
        (0, ["r15", "r15d", "r15w", "r15b"]),
        (8, ["r14", "r14d", "r14w", "r14b"]),
        (16, ["r13", "r13d", "r13w", "r13b"]),
        (24, ["r12", "r12d", "r12w", "r12b"]),
        (32, ["rbp", "ebp", "bp", "bpl"]),
        (40, ["rbx", "ebx", "bx", "bl"]),
        (48, ["r11", "r11d", "r11w", "r11b"]),
        (56, ["r10", "r10d", "r10w", "r10b"]),
        (64, ["r9", "r9d", "r9w", "r9b"]),
        (72, ["r8", "r8d", "r8w", "r8b"]),
        (80, ["rax", "eax", "ax", "al"]),
        (88, ["rcx", "ecx", "cx", "cl"]),
        (96, ["rdx", "edx", "dx", "dl"]),
        (104, ["rsi", "esi", "si", "sil"]),
        (112, ["rdi", "edi", "di", "dil"]),
        (152, ["rsp", "esp", "sp", "spl"]),
    ];
    let found = NAMES.iter().find(|(_, names)| names.contains(&name));
    found.map(|(offset, _)| *offset)
}

fn aarch64(operand: &str) -> Option<ts_arg> {
    if let Some(inside) = operand.strip_prefix('[') {
        let inside = inside.strip_suffix(']')?;
        let (base, displacement) = inside.split_once(',').unwrap_or((inside, "0"));
        return Some(memory(
            aarch64_register(base.trim())?,
            parse_i64(displacement.trim())?,
        ));
    }
    match aarch64_register(operand) {
        Some(offset) => Some(register(offset)),
        None => constant(operand),
    }
}

/// Offset in `pt_regs` of x0 to x30 (w0 to w30 are their low halves) or sp.
fn aarch64_register(name: &str) -> Option<u16> {
    if name == "sp" {
        return Some(31 * 8);
    }
    let number: u16 = name.strip_prefix(['x', 'w'])?.parse().ok()?;
    (number <= 30).then_some(number * 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_on(machine: Machine, text: &str) -> Result<Args, ArgError> {
        let distance = |symbol: &str| (symbol == "NBuffers").then_some(0x1000);
        let place = Place {
            machine,
            distance: &distance,
        };
        parse(&place, text)
    }

    fn x86(text: &str) -> Result<Args, ArgError> {
        parse_on(Machine::X86_64, text)
    }

    /// (kind, register, index, scale, value, size, signed)
    fn shape(arg: ts_arg) -> (u32, u16, u16, u8, i64, u8, u8) {
        let ts_arg {
            value,
            reg_offset,
            index_offset,
            scale,
            kind,
            size,
            is_signed,
        } = arg;
        (
            kind.into(),
            reg_offset,
            index_offset,
            scale,
            value,
            size,
            is_signed,
        )
    }

    #[test]
    fn every_x86_64_form() {
        let cases = [
            ("8@%rbx", (TS_ARG_REG, 40, 0, 0, 0, 8, 0)),
            ("4@%ebx", (TS_ARG_REG, 40, 0, 0, 0, 4, 0)),
            ("-4@%r13d", (TS_ARG_REG, 16, 0, 0, 0, 4, 1)),
            ("1@%al", (TS_ARG_REG, 80, 0, 0, 0, 1, 0)),
            ("-1@%r8b", (TS_ARG_REG, 72, 0, 0, 0, 1, 1)),
            ("2@%di", (TS_ARG_REG, 112, 0, 0, 0, 2, 0)),
            ("-4@$3", (TS_ARG_CONST, 0, 0, 0, 3, 4, 1)),
            ("-4@$-1", (TS_ARG_CONST, 0, 0, 0, -1, 4, 1)),
            ("8@$0xffffffffffffffff", (TS_ARG_CONST, 0, 0, 0, -1, 8, 0)),
            ("8@-16(%rbp)", (TS_ARG_MEM, 32, 0, 0, -16, 8, 0)),
            ("4@60(%rax)", (TS_ARG_MEM, 80, 0, 0, 60, 4, 0)),
            ("1@14(%r12)", (TS_ARG_MEM, 24, 0, 0, 14, 1, 0)),
            ("4@(%r12)", (TS_ARG_MEM, 24, 0, 0, 0, 4, 0)),
            ("8@0x10(%rsp)", (TS_ARG_MEM, 152, 0, 0, 16, 8, 0)),
            ("8@(%rax,%rcx,8)", (TS_ARG_MEM_INDEXED, 80, 88, 8, 0, 8, 0)),
            ("-4@NBuffers(%rip)", (TS_ARG_MEM, 128, 0, 0, 0x1000, 4, 1)),
            (
                "-4@40+NBuffers(%rip)",
                (TS_ARG_MEM, 128, 0, 0, 0x1028, 4, 1),
            ),
            ("-4@NBuffers+-8(%rip)", (TS_ARG_MEM, 128, 0, 0, 0xff8, 4, 1)),
            ("8@-8(%rax,%rcx)", (TS_ARG_MEM_INDEXED, 80, 88, 1, -8, 8, 0)),
        ];
        for (text, expected) in cases {
            let parsed = x86(text).expect(text);
            assert_eq!(
                (parsed.count, shape(parsed.args[0])),
                (1, expected),
                "{text}"
            );
        }
    }

    #[test]
    fn every_aarch64_form() {
        let parsed =
            parse_on(Machine::Aarch64, "8@x0 -4@w30 8@[sp, 16] 4@[x1] 4@-7").expect("parses");
        assert_eq!(parsed.count, 5);
        let shapes: Vec<_> = parsed.args[..5].iter().map(|arg| shape(*arg)).collect();
        assert_eq!(
            shapes,
            [
                (TS_ARG_REG, 0, 0, 0, 0, 8, 0),
                (TS_ARG_REG, 240, 0, 0, 0, 4, 1),
                (TS_ARG_MEM, 248, 0, 0, 16, 8, 0),
                (TS_ARG_MEM, 8, 0, 0, 0, 4, 0),
                (TS_ARG_CONST, 0, 0, 0, -7, 4, 0),
            ]
        );
    }

    #[test]
    fn garbage_is_named() {
        for text in [
            "@",
            "8@",
            "8",
            "3@%rax",
            "0@%rax",
            "8@%ah",
            "8@%rip",
            "8@$",
            "8@$+1",
            "8@$--1",
            "8@(%rax",
            "8@%rax)",
            "8@(rax)",
            "8@x(%rax)",
            "8@(%rax,%rcx,3)",
            "8@(%rax,%rcx,8,1)",
            "8@(,%rcx,8)",
            "8@foo(%rip)",
            "8@4(%rip)",
            "8@(%rip)",
            "8@NBuffers(%rax)",
            "8@NBuffers+NBuffers(%rip)",
            "300@%rax",
            "8@x0",
            "8@[x0]",
            "é@%rax",
        ] {
            let error = x86(text).expect_err(text);
            assert_eq!(error.operand, text);
        }
        assert!(parse_on(Machine::Aarch64, "8@x31").is_err());
        assert!(parse_on(Machine::Aarch64, "8@[x0").is_err());
        assert!(parse_on(Machine::Other, "8@x0").is_err());
    }

    #[test]
    fn six_are_kept() {
        assert_eq!(x86("").expect("none").kept(5).1, 0);
        for (written, kept) in [(5, 5), (6, 6), (7, 6), (9, 6)] {
            let args = x86(&"8@%rax ".repeat(written)).expect("args");
            assert_eq!(args.kept(5).1, kept);
        }
        let args = x86("1@$0 1@$1 1@$2 1@$3 1@$4 1@$5 1@$6 1@$7").expect("args");
        let values = |sixth| args.kept(sixth).0.map(|arg| arg.value);
        assert_eq!(values(5), [0, 1, 2, 3, 4, 5]);
        assert_eq!(values(6), [0, 1, 2, 3, 4, 6]);
        assert_eq!(values(8), [0, 1, 2, 3, 4, 0]);
    }
}
