//! A small assembler for eBPF.
//!
//! The kernel takes programs as arrays of 64-bit instructions whose jumps count instructions. Writing
//! those by hand means recounting after every change; so a program is written here as calls on [`Asm`],
//! with labels for jump targets, and [`Asm::finish`] puts the distances in. Instruction set: RFC 9669.

use std::fmt;

/// A register. `R0` holds results, `R1`–`R5` arguments (lost at each call), `R6`–`R9` survive calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
#[expect(clippy::exhaustive_enums, reason = "there are no more")]
pub enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    /// The frame pointer; the stack is the 512 bytes below it.
    R10,
}

/// How many bytes a load or store moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are no more")]
pub enum Size {
    /// One byte.
    B,
    /// Two bytes.
    H,
    /// Four bytes.
    W,
    /// Eight bytes.
    D,
}

/// When a jump is taken. Comparisons are unsigned, over 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
#[expect(clippy::exhaustive_enums, reason = "the ones in use")]
pub enum If {
    Equal,
    NotEqual,
    Greater,
    Less,
    /// `dst & operand` is not zero.
    AnyBit,
}

/// A two-operand calculation; the result goes to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
#[expect(clippy::exhaustive_enums, reason = "the ones in use")]
pub enum Op {
    Add,
    Sub,
    Mul,
    Or,
    And,
    ShiftLeft,
    ShiftRight,
    Mod,
    Xor,
    Move,
}

/// A second operand: a register or a constant (sign-extended where 64 bits are wanted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are no more")]
pub enum Operand {
    /// A register.
    Reg(Reg),
    /// A constant.
    Imm(i32),
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Self {
        Self::Reg(reg)
    }
}

impl From<i32> for Operand {
    fn from(imm: i32) -> Self {
        Self::Imm(imm)
    }
}

/// A place in the program to jump to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

/// A program that cannot be put together: a fault of whoever wrote it, not of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AsmError {
    /// A jump leads to a label that was never placed.
    Unplaced,
    /// A jump is further than 32767 instructions.
    TooFar,
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unplaced => "a jump leads to a label that was never placed",
            Self::TooFar => "a jump is too far",
        })
    }
}

impl std::error::Error for AsmError {}

/// A program being written.
#[derive(Debug, Default)]
pub struct Asm {
    code: Vec<u64>,
    /// Where each label lies.
    places: Vec<Option<usize>>,
    /// Jumps whose distance is still to be put in: instruction, label.
    jumps: Vec<(usize, Label)>,
}

// Instruction classes, sizes, sources: RFC 9669 section 3.
const LD: u8 = 0x00;
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
const ALU32: u8 = 0x04;
const JMP: u8 = 0x05;
const ALU64: u8 = 0x07;
const MEM: u8 = 0x60;
const FROM_REG: u8 = 0x08;
const SWAP_TO_BE: u8 = 0xd8;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
/// As the source "register" of a 64-bit load: the constant is the file descriptor of a map.
const PSEUDO_MAP_FD: u8 = 1;

impl Asm {
    /// An empty program.
    pub fn new() -> Self {
        Self::default()
    }

    /// A label, to be placed once and jumped to as often as wanted.
    pub fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// Puts the label before the next instruction.
    pub fn place(&mut self, label: Label) {
        self.places[label.0] = Some(self.code.len());
    }

    /// A 64-bit calculation.
    pub fn alu(&mut self, op: Op, dst: Reg, operand: impl Into<Operand>) {
        self.calculate(ALU64, op, dst, operand.into());
    }

    /// A 32-bit calculation; the upper half of `dst` becomes zero.
    pub fn alu32(&mut self, op: Op, dst: Reg, operand: impl Into<Operand>) {
        self.calculate(ALU32, op, dst, operand.into());
    }

    /// `dst = operand`, 64 bits.
    pub fn set(&mut self, dst: Reg, operand: impl Into<Operand>) {
        self.alu(Op::Move, dst, operand);
    }

    /// Turns the low 16, 32 or 64 bits of `dst` from network to host order or back; the rest becomes zero.
    pub fn swap_be(&mut self, dst: Reg, bits: i32) {
        self.emit(ALU32 | SWAP_TO_BE, dst as u8, 0, 0, bits);
    }

    /// `dst = *(base + offset)`, zero-extended.
    pub fn load(&mut self, size: Size, dst: Reg, base: Reg, offset: i16) {
        self.emit(LDX | MEM | size.bits(), dst as u8, base as u8, offset, 0);
    }

    /// `*(base + offset) = value`.
    pub fn store(&mut self, size: Size, base: Reg, offset: i16, value: impl Into<Operand>) {
        match value.into() {
            Operand::Reg(r) => self.emit(STX | MEM | size.bits(), base as u8, r as u8, offset, 0),
            Operand::Imm(i) => self.emit(ST | MEM | size.bits(), base as u8, 0, offset, i),
        }
    }

    /// `dst` = the map behind a file descriptor (two instructions).
    pub fn load_map(&mut self, dst: Reg, fd: i32) {
        self.emit(LD | Size::D.bits(), dst as u8, PSEUDO_MAP_FD, 0, fd);
        self.emit(0, 0, 0, 0, 0);
    }

    /// Calls one of the kernel's helpers by number.
    pub fn call(&mut self, helper: i32) {
        self.emit(CALL, 0, 0, 0, helper);
    }

    /// Jumps always.
    pub fn jump(&mut self, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.emit(JMP, 0, 0, 0, 0);
    }

    /// Jumps if the comparison holds.
    pub fn jump_if(&mut self, dst: Reg, when: If, operand: impl Into<Operand>, to: Label) {
        self.jumps.push((self.code.len(), to));
        let (source, src, imm) = operand.into().split();
        self.emit(JMP | source | when.bits(), dst as u8, src, 0, imm);
    }

    /// Ends the program with a constant result.
    pub fn exit_with(&mut self, result: i32) {
        self.set(Reg::R0, result);
        self.exit();
    }

    /// Ends the program; the result is in `R0`.
    pub fn exit(&mut self) {
        self.emit(EXIT, 0, 0, 0, 0);
    }

    /// The finished program.
    pub fn finish(mut self) -> Result<Vec<u64>, AsmError> {
        for &(at, label) in &self.jumps {
            let target = self.places[label.0].ok_or(AsmError::Unplaced)?;
            let distance = i16::try_from(target as i64 - at as i64 - 1);
            let [a, b] = distance.map_err(|_| AsmError::TooFar)?.to_ne_bytes();
            let mut bytes = self.code[at].to_ne_bytes();
            bytes[2..4].copy_from_slice(&[a, b]);
            self.code[at] = u64::from_ne_bytes(bytes);
        }
        Ok(self.code)
    }

    fn calculate(&mut self, class: u8, op: Op, dst: Reg, operand: Operand) {
        let (source, src, imm) = operand.split();
        self.emit(class | source | op.bits(), dst as u8, src, 0, imm);
    }

    /// The kernel's `struct bpf_insn`: opcode, two registers of four bits, offset, constant.
    fn emit(&mut self, opcode: u8, dst: u8, src: u8, offset: i16, imm: i32) {
        let registers = if cfg!(target_endian = "little") {
            src << 4 | dst
        } else {
            dst << 4 | src
        };
        let ([o0, o1], [i0, i1, i2, i3]) = (offset.to_ne_bytes(), imm.to_ne_bytes());
        let bytes = [opcode, registers, o0, o1, i0, i1, i2, i3];
        self.code.push(u64::from_ne_bytes(bytes));
    }
}

impl Operand {
    /// The source bit of the opcode, the source register and the constant.
    fn split(self) -> (u8, u8, i32) {
        match self {
            Self::Reg(r) => (FROM_REG, r as u8, 0),
            Self::Imm(i) => (0, 0, i),
        }
    }
}

impl Size {
    const fn bits(self) -> u8 {
        match self {
            Self::W => 0x00,
            Self::H => 0x08,
            Self::B => 0x10,
            Self::D => 0x18,
        }
    }
}

impl If {
    const fn bits(self) -> u8 {
        match self {
            Self::Equal => 0x10,
            Self::Greater => 0x20,
            Self::AnyBit => 0x40,
            Self::NotEqual => 0x50,
            Self::Less => 0xa0,
        }
    }
}

impl Op {
    const fn bits(self) -> u8 {
        match self {
            Self::Add => 0x00,
            Self::Sub => 0x10,
            Self::Mul => 0x20,
            Self::Or => 0x40,
            Self::And => 0x50,
            Self::ShiftLeft => 0x60,
            Self::ShiftRight => 0x70,
            Self::Mod => 0x90,
            Self::Xor => 0xa0,
            Self::Move => 0xb0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opcode, registers, offset and constant of a single instruction.
    fn one(write: impl FnOnce(&mut Asm)) -> (u8, u8, i16, i32) {
        let mut asm = Asm::new();
        write(&mut asm);
        let code = asm.finish().unwrap();
        let b = code[0].to_ne_bytes();
        let offset = i16::from_ne_bytes([b[2], b[3]]);
        (
            b[0],
            b[1],
            offset,
            i32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
        )
    }

    // Expected values: what clang and the kernel's own tables give for the commented instruction.
    #[test]
    #[cfg(target_endian = "little")]
    fn instructions_are_encoded_as_the_kernel_reads_them() {
        use Reg::*;
        // r6 = r1
        assert_eq!(one(|a| a.set(R6, R1)), (0xbf, 0x16, 0, 0));
        // r3 += -40
        assert_eq!(one(|a| a.alu(Op::Add, R3, -40)), (0x07, 0x03, 0, -40));
        // r1 -= r2
        assert_eq!(one(|a| a.alu(Op::Sub, R1, R2)), (0x1f, 0x21, 0, 0));
        // w7 *= 0x85ebca6b
        assert_eq!(
            one(|a| a.alu32(Op::Mul, R7, 0x85eb_ca6b_u32 as i32)),
            (0x24, 0x07, 0, -2048144789)
        );
        // w1 ^= w2
        assert_eq!(one(|a| a.alu32(Op::Xor, R1, R2)), (0xac, 0x21, 0, 0));
        // r1 = be32 r1
        assert_eq!(one(|a| a.swap_be(R1, 32)), (0xdc, 0x01, 0, 32));
        // r2 = *(u32 *)(r6 + 16)
        assert_eq!(one(|a| a.load(Size::W, R2, R6, 16)), (0x61, 0x62, 16, 0));
        // r7 = *(u8 *)(r10 - 40)
        assert_eq!(one(|a| a.load(Size::B, R7, R10, -40)), (0x71, 0xa7, -40, 0));
        // *(u64 *)(r10 - 24) = r1
        assert_eq!(
            one(|a| a.store(Size::D, R10, -24, R1)),
            (0x7b, 0x1a, -24, 0)
        );
        // *(u16 *)(r10 - 8) = 7
        assert_eq!(one(|a| a.store(Size::H, R10, -8, 7)), (0x6a, 0x0a, -8, 7));
        // call 26
        assert_eq!(one(|a| a.call(26)), (0x85, 0, 0, 26));
        // exit
        assert_eq!(one(|a| a.exit()), (0x95, 0, 0, 0));
        // r2 = map[fd 5]
        assert_eq!(one(|a| a.load_map(R2, 5)), (0x18, 0x12, 0, 5));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn comparisons_have_their_opcodes() {
        for (when, opcode) in [
            (If::Equal, 0x15),
            (If::NotEqual, 0x55),
            (If::Greater, 0x25),
            (If::Less, 0xa5),
            (If::AnyBit, 0x45),
        ] {
            let got = one(|a| {
                let l = a.label();
                a.place(l);
                a.jump_if(Reg::R8, when, 6, l);
            });
            assert_eq!(got, (opcode, 0x08, -1, 6), "{when:?}");
        }
    }

    #[test]
    fn jumps_count_from_the_next_instruction_both_ways() {
        let mut a = Asm::new();
        let (back, on) = (a.label(), a.label());
        a.place(back);
        a.jump(on);
        a.load_map(Reg::R1, 3); // two instructions
        a.place(on);
        a.jump(back);
        let code = a.finish().unwrap();
        let offset = |i: usize| {
            let b = code[i].to_ne_bytes();
            i16::from_ne_bytes([b[2], b[3]])
        };
        assert_eq!((offset(0), offset(3)), (2, -4));
    }

    #[test]
    fn a_jump_to_nowhere_or_too_far_is_refused() {
        let mut a = Asm::new();
        let nowhere = a.label();
        a.jump(nowhere);
        assert_eq!(a.finish(), Err(AsmError::Unplaced));
        let mut a = Asm::new();
        let far = a.label();
        a.jump(far);
        (0..40_000).for_each(|_| a.exit());
        a.place(far);
        assert_eq!(a.finish(), Err(AsmError::TooFar));
    }
}
