use std::fs::File;
use std::io::Read;
use std::path::Path;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::read::{ReadCache, StringTable};
use rustc_hash::FxHashMap;

use crate::{Error, Result};

/// The symbols that one library itself defines and exports, by name.
#[derive(Debug, Default)]
pub struct Symbols {
    table: FxHashMap<String, Symbol>,
    finishers: Option<(usize, usize)>,
}

/// An exported symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Function or data.
    pub kind: SymbolKind,
    /// Size in bytes; 0 where the library does not tell.
    pub size: u64,
    /// Where it lies, counted from where the library is loaded; `None` where only the loader can tell.
    pub offset: Option<usize>,
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
        let unreadable = |error| not_a_library(path, format!("it cannot be read ({error})"));
        let mut file = File::open(path).map_err(unreadable)?;
        let mut head = Vec::new();
        file.by_ref().take(512).read_to_end(&mut head).map_err(unreadable)?;
        if !head.starts_with(&elf::ELFMAG) {
            return Err(not_a_library(path, describe_foreign(&head)));
        }
        let class = if cfg!(target_pointer_width = "64") { elf::ELFCLASS64 } else { elf::ELFCLASS32 };
        match head.get(4) {
            Some(&found) if found == class.0 => {}
            Some(_) => return Err(not_a_library(path, "its word size is another".to_owned())),
            None => return Err(not_a_library(path, "the file ends after its first bytes".to_owned())),
        }
        // Of most libraries the symbols are a small part.
        let parts = ReadCache::new(file);
        #[cfg(target_pointer_width = "64")]
        let symbols = Self::of::<elf::FileHeader64<Endianness>>(&parts);
        #[cfg(target_pointer_width = "32")]
        let symbols = Self::of::<elf::FileHeader32<Endianness>>(&parts);
        symbols.map_err(|message| not_a_library(path, message))
    }

    fn of<Elf: FileHeader<Endian = Endianness>>(
        parts: &ReadCache<File>,
    ) -> std::result::Result<Self, String> {
        let damaged = |error| format!("its ELF data is damaged ({error})");
        let header = Elf::parse(parts).map_err(damaged)?;
        let endian = header.endian().map_err(damaged)?;
        if header.e_type(endian) != elf::ET_DYN {
            return Err(format!("it is an ELF {}, not a shared object", type_name(header.e_type(endian))));
        }
        if MACHINE.is_some_and(|ours| ours != header.e_machine(endian)) {
            return Err("it is made for another processor".to_owned());
        }
        let sections = header.sections(endian, parts).map_err(damaged)?;
        let finishers = sections.iter().find(|section| section.sh_type(endian) == elf::SHT_FINI_ARRAY);
        let finishers = finishers.map(|section| {
            let (offset, size): (u64, u64) = (section.sh_addr(endian).into(), section.sh_size(endian).into());
            (offset as usize, size as usize)
        });
        let Some(table) = sections.iter().find(|section| section.sh_type(endian) == elf::SHT_DYNSYM) else {
            return Ok(Self { table: FxHashMap::default(), finishers });
        };
        let list = table.data_as_array::<Elf::Sym, _>(endian, parts).map_err(damaged)?;
        let strings = sections.section(table.link(endian)).map_err(damaged)?;
        // All names at once: asked for one by one, each would be read from the file by itself.
        let strings = strings.data(endian, parts).map_err(damaged)?;
        let names = StringTable::new(strings, 0, strings.len() as u64);
        let mut symbols = FxHashMap::default();
        symbols.reserve(list.len());
        for symbol in list {
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
            let Ok(name) = names.get(symbol.st_name(endian)) else { continue };
            if let Ok(name) = std::str::from_utf8(name) {
                let value: u64 = symbol.st_value(endian).into();
                let plain = matches!(symbol.st_type(), elf::STT_FUNC | elf::STT_OBJECT);
                let offset = plain.then_some(value as usize);
                let symbol = Symbol { kind, size: symbol.st_size(endian).into(), offset };
                // Of several versions the loader chooses.
                let several = |known: &mut Symbol| *known = Symbol { offset: None, ..symbol };
                symbols.entry(name.to_owned()).and_modify(several).or_insert(symbol);
            }
        }
        Ok(Self { table: symbols, finishers })
    }

    /// Where the addresses of what runs at unloading lie, counted from where the library is loaded, and how many
    /// bytes they are.
    pub fn finishers(&self) -> Option<(usize, usize)> {
        self.finishers
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(String::as_str)
    }

    /// The symbol of that name, if the library itself defines it.
    pub fn get(&self, name: &str) -> Option<Symbol> {
        self.table.get(name).copied()
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

fn type_name(ty: elf::FileType) -> &'static str {
    match ty {
        elf::ET_REL => "object file (link it with 'cc -shared')",
        elf::ET_EXEC => "executable",
        elf::ET_CORE => "core dump",
        _ => "file of unknown kind",
    }
}

fn describe_foreign(head: &[u8]) -> String {
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
