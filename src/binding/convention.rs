//! Calls that words alone do not describe: records and wide numbers by value and variable arguments,
//! under the System V x86-64 convention.

use serde::{Deserialize, Serialize};

use super::{Scalar, Wide};
use crate::model::{Function, Interface, Record, Type, TypeKind};

/// Parameters and result of a function that takes or returns records or wide numbers by value, or is
/// variadic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convention {
    /// The parameters before any `...`.
    pub parameters: Vec<Passing>,
    /// The result.
    pub result: Passing,
    /// Whether more arguments may follow.
    pub variadic: bool,
}

/// How one value travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Passing {
    /// As one word.
    Scalar(Scalar),
    /// As the eightbytes of a record, or of a [`Wide`] number.
    Record(RecordClass),
}

/// Where a record's bytes go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordClass {
    /// Size in bytes.
    pub size: usize,
    /// Alignment in bytes.
    pub align: usize,
    /// The class of each eightbyte; `None` for a record that travels in memory.
    pub eightbytes: Option<Vec<Eightbyte>>,
    /// How many x87 registers bring it back as a result; as an argument it is in memory.
    pub x87: usize,
}

/// The register class of 8 bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Eightbyte {
    /// Padding only: in no register.
    Nothing,
    /// In an integer register.
    Integer,
    /// In an SSE register.
    Sse,
    /// Half of a `long double`: as an argument in memory, as a result in an x87 register.
    X87,
}

impl Convention {
    /// The convention of a declaration, or why it cannot be called.
    pub fn of(function: &Function, model: &Interface) -> Result<Self, String> {
        if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            return Err(
                "it is variadic or has records by value, which pythy calls on x86-64 Linux only".to_owned()
            );
        }
        let parameters = function
            .parameters
            .iter()
            .map(|parameter| Passing::of(&parameter.ty, model))
            .collect::<Result<_, _>>()
            .map_err(|what| format!("it takes {what}, which pythy cannot pass yet"))?;
        let result = Passing::of(&function.result, model)
            .map_err(|what| format!("it returns {what}, which pythy cannot receive yet"))?;
        Ok(Self { parameters, result, variadic: function.variadic })
    }
}

impl Passing {
    /// How a value of this type travels, or what of it cannot.
    pub fn of(ty: &Type, model: &Interface) -> Result<Self, String> {
        if let Some(wide) = Wide::of(&ty.kind) {
            return Ok(Self::Record(wide.class()));
        }
        let TypeKind::Record(key) = &ty.kind else { return Scalar::of(ty).map(Self::Scalar) };
        let record = model.records.iter().find(|record| record.key == *key);
        match record {
            Some(record) if record.size.is_some() => RecordClass::of(record, model).map(Self::Record),
            _ => Err(format!("the incomplete '{key}' by value")),
        }
    }
}

impl RecordClass {
    fn of(record: &Record, model: &Interface) -> Result<Self, String> {
        let size = record.size.unwrap_or(0) as usize;
        let mut classes = vec![Eightbyte::Nothing; size.div_ceil(8)];
        let mut classifier = Classifier { model, classes: &mut classes, memory: size > 16 };
        classifier.record(record, 0)?;
        let memory = classifier.memory;
        if record.align > 16 {
            return Err(format!("'{}' by value, aligned to {} bytes", record.key, record.align));
        }
        let x87 = usize::from(!memory && classes.contains(&Eightbyte::X87));
        let eightbytes = (!memory && x87 == 0).then_some(classes);
        Ok(Self { size, align: record.align as usize, eightbytes, x87 })
    }

    /// Whether a result of this class is written where the caller says.
    pub fn returned_in_memory(&self) -> bool {
        self.eightbytes.is_none() && self.x87 == 0
    }
}

struct Classifier<'a> {
    model: &'a Interface,
    classes: &'a mut Vec<Eightbyte>,
    memory: bool,
}

impl Classifier<'_> {
    fn record(&mut self, record: &Record, base: u64) -> Result<(), String> {
        for field in &record.fields {
            let bits = base + field.offset_bits;
            match field.bit_width {
                Some(width) => {
                    self.mark(bits, u64::from(width), Eightbyte::Integer);
                }
                None => self.value(&field.ty, bits)?,
            }
        }
        Ok(())
    }

    fn value(&mut self, ty: &Type, bits: u64) -> Result<(), String> {
        match &ty.kind {
            TypeKind::Record(key) => {
                let model = self.model;
                match model.records.iter().find(|record| record.key == *key) {
                    Some(record) => self.record(record, bits),
                    None => Err(format!("the unknown '{key}' by value")),
                }
            }
            TypeKind::Array(element, count) => {
                let size = self.model.size_of(element).unwrap_or(0) * 8;
                // What is beyond 16 bytes travels in memory, whatever it is.
                for index in 0..count.unwrap_or(0).min(17) {
                    self.value(element, bits + index * size)?;
                }
                Ok(())
            }
            _ if Wide::of(&ty.kind).is_some() => {
                match Wide::of(&ty.kind) {
                    Some(Wide::ComplexFloat) => self.parts(32, bits),
                    Some(Wide::ComplexDouble) => self.parts(64, bits),
                    // Two of them have no room in 16 bytes.
                    _ => self.mark(bits, 128, Eightbyte::X87),
                }
                Ok(())
            }
            _ => {
                let scalar = Scalar::of(ty).map_err(|what| format!("a record with {what}"))?;
                let size = scalar.size() as u64 * 8;
                if size > 0 && !bits.is_multiple_of(size) {
                    self.memory = true;
                }
                self.mark(bits, size, if scalar.is_float() { Eightbyte::Sse } else { Eightbyte::Integer });
                Ok(())
            }
        }
    }

    /// The two floating parts of a complex number.
    fn parts(&mut self, width: u64, bits: u64) {
        self.memory |= !bits.is_multiple_of(width);
        self.mark(bits, 2 * width, Eightbyte::Sse);
    }

    fn mark(&mut self, bits: u64, width: u64, class: Eightbyte) {
        for eightbyte in bits / 64..(bits + width).div_ceil(64) {
            if let Some(known) = self.classes.get_mut(eightbyte as usize) {
                self.memory |=
                    (*known == Eightbyte::X87) != (class == Eightbyte::X87) && *known != Eightbyte::Nothing;
                *known = match (*known, class) {
                    (Eightbyte::Integer, _) | (_, Eightbyte::Integer) => Eightbyte::Integer,
                    _ => class,
                };
            }
        }
    }
}
