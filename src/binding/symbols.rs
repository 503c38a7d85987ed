use std::collections::HashMap;
use std::path::Path;

use object::elf;
use object::read::elf::{ElfFile, FileHeader, Sym};
use object::{Endianness, Object};

use crate::{Error, Result};

/// The symbols that one library itself defines and exports, by name.
#[derive(Debug, Default)]
pub struct Symbols(HashMap<String, Symbol>);

/// An exported symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Function or data.
    pub kind: SymbolKind,
    /// Size in bytes; 0 where the library does not tell.
    pub size: u64,
}

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// Code, indirect functions included.
    Function,
    /// A variable.
    Data,
    /// A variable of which each thread has its own.
    ThreadLocal,
}

impl Symbols {
    /// Reads the dynamic symbol table of the ELF file at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|error| not_a_library(path, format!("it cannot be read ({error})")))?;
        if !bytes.starts_with(&elf::ELFMAG) {
            return Err(not_a_library(path, describe_foreign(&bytes)));
        }
        let class = if cfg!(target_pointer_width = "64") { elf::ELFCLASS64 } else { elf::ELFCLASS32 };
        match bytes.get(4) {
            Some(&found) if found == class.0 => {}
            Some(_) => return Err(not_a_library(path, "its word size is another".to_owned())),
            None => return Err(not_a_library(path, "the file ends after its first bytes".to_owned())),
        }
        #[cfg(target_pointer_width = "64")]
        let symbols = Self::of::<elf::FileHeader64<Endianness>>(&bytes);
        #[cfg(target_pointer_width = "32")]
        let symbols = Self::of::<elf::FileHeader32<Endianness>>(&bytes);
        symbols.map_err(|message| not_a_library(path, message))
    }

    fn of<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> std::result::Result<Self, String> {
        let file =
            ElfFile::<Elf>::parse(bytes).map_err(|error| format!("its ELF data is damaged ({error})"))?;
        if file.kind() != object::ObjectKind::Dynamic {
            return Err(format!("it is an ELF {}, not a shared object", kind_name(file.kind())));
        }
        let endian = file.endian();
        let machine = file.elf_header().e_machine(endian);
        if MACHINE.is_some_and(|ours| ours != machine) {
            return Err("it is made for another processor".to_owned());
        }
        let table = file.elf_dynamic_symbol_table();
        let mut symbols = HashMap::new();
        for symbol in table.iter() {
            if symbol.is_undefined(endian) || symbol.st_bind() == elf::STB_LOCAL {
                continue;
            }
            let kind = match symbol.st_type() {
                elf::STT_FUNC | elf::STT_GNU_IFUNC => SymbolKind::Function,
                elf::STT_OBJECT | elf::STT_COMMON => SymbolKind::Data,
                elf::STT_TLS => SymbolKind::ThreadLocal,
                // Hand-written assembler often leaves the type out.
                elf::STT_NOTYPE => SymbolKind::Function,
                _ => continue,
            };
            let Ok(name) = table.symbol_name(endian, symbol) else { continue };
            if let Ok(name) = std::str::from_utf8(name) {
                symbols.insert(name.to_owned(), Symbol { kind, size: symbol.st_size(endian).into() });
            }
        }
        Ok(Self(symbols))
    }

    /// The symbol of that name, if the library itself defines it.
    pub fn get(&self, name: &str) -> Option<Symbol> {
        self.0.get(name).copied()
    }
}

/// The processor that libraries must be made for; `None` where the loader is left to tell.
const MACHINE: Option<elf::Machine> = if cfg!(target_arch = "x86_64") {
    Some(elf::EM_X86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(elf::EM_AARCH64)
} else {
    None
};

fn kind_name(kind: object::ObjectKind) -> &'static str {
    match kind {
        object::ObjectKind::Relocatable => "object file (link it with 'cc -shared')",
        object::ObjectKind::Executable => "executable",
        object::ObjectKind::Core => "core dump",
        _ => "file of unknown kind",
    }
}

fn describe_foreign(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(512)];
    if head.is_empty() {
        "it is empty".to_owned()
    } else if head.starts_with(b"!<arch>") {
        "it is a static archive; give the .so".to_owned()
    } else if std::str::from_utf8(head).is_ok_and(|text| text.contains("GNU ld script")) {
        "it is a linker script; give the library that it names".to_owned()
    } else if std::str::from_utf8(head).is_ok() {
        "it is a text file".to_owned()
    } else {
        "it is no ELF file".to_owned()
    }
}

fn not_a_library(path: &Path, message: String) -> Error {
    Error::NotALibrary { path: path.to_owned(), message }
}
