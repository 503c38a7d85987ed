//! Headers as they are installed on a Debian development machine. One that is missing is skipped,
//! with a message.

use std::path::Path;

use pythy::header::{Options, parse};
use pythy::model::{Constant, ConstantValue, Function, Interface, Record, TypeKind};

fn read(header: &str) -> Option<Interface> {
    if !Path::new("/usr/include").join(header).exists() {
        eprintln!("skipped: /usr/include/{header} is not installed");
        return None;
    }
    Some(parse(&Options { headers: vec![header.into()], ..Options::default() }).unwrap())
}

#[track_caller]
fn function<'i>(interface: &'i Interface, name: &str) -> &'i Function {
    interface.functions.iter().find(|function| function.name == name).expect(name)
}

#[track_caller]
fn prototypes(interface: &Interface, expected: &[&str]) {
    for prototype in expected {
        let found = interface.functions.iter().find(|function| function.prototype == *prototype);
        assert!(found.is_some(), "{prototype}");
    }
}

#[track_caller]
fn comment_begins(interface: &Interface, name: &str, expected: &str) {
    let comment = function(interface, name).comment.as_deref().unwrap_or_default();
    assert!(comment.starts_with(expected), "{name}: {comment}");
}

fn record<'i>(interface: &'i Interface, key: &str) -> &'i Record {
    interface.records.iter().find(|record| record.key == key).expect(key)
}

fn constant<'i>(interface: &'i Interface, name: &str) -> &'i Constant {
    interface.constants.iter().find(|constant| constant.name == name).expect(name)
}

#[test]
fn zlib() {
    let Some(zlib) = read("zlib.h") else { return };
    prototypes(
        &zlib,
        &[
            "uLong crc32(uLong crc, const Bytef *buf, uInt len)",
            "int compress(Bytef *dest, uLongf *destLen, const Bytef *source, uLong sourceLen)",
            "int deflate(z_streamp strm, int flush)",
            "const char *zlibVersion(void)",
            "int gzprintf(gzFile file, const char *format, ...)",
            "int inflateBack(z_streamp strm, in_func in, void *in_desc, out_func out, void *out_desc)",
        ],
    );
    comment_begins(&zlib, "deflate", "deflate compresses as much data as possible");
    comment_begins(
        &zlib,
        "deflateEnd",
        "All dynamically allocated data structures for this stream are freed.",
    );
    comment_begins(&zlib, "crc32", "Update a running CRC-32 with the bytes buf[0..len-1]");
    comment_begins(&zlib, "compress", "Compresses the source buffer into the destination buffer.");
    comment_begins(&zlib, "gzclose_r", "Same as gzclose(), but gzclose_r() is only for use when reading");
    assert_eq!(function(&zlib, "get_crc_table").comment, None);
    assert!(function(&zlib, "crc32").in_given_header);
    let stream = record(&zlib, "struct z_stream_s");
    assert_eq!(stream.fields[0].name.as_deref(), Some("next_in"));
    assert_eq!(stream.fields[0].comment.as_deref(), Some("next input byte"));
    assert_eq!(record(&zlib, "struct internal_state").size, None);
    assert_eq!(constant(&zlib, "Z_DATA_ERROR").value, ConstantValue::Integer(-3));
    assert_eq!(constant(&zlib, "MAX_WBITS").value, ConstantValue::Integer(15));
    assert!(!constant(&zlib, "MAX_WBITS").in_given_header);
    assert!(
        matches!(&constant(&zlib, "ZLIB_VERSION").value, ConstantValue::String(text) if text.starts_with(b"1."))
    );
}

#[test]
fn sqlite3() {
    let Some(sqlite) = read("sqlite3.h") else { return };
    prototypes(
        &sqlite,
        &[
            "int sqlite3_close(sqlite3 *)",
            "int sqlite3_open(const char *filename, sqlite3 **ppDb)",
            "int sqlite3_exec(sqlite3 *, const char *sql, int (*callback)(void *, int, char **, char **), void *, char **errmsg)",
            "char *sqlite3_mprintf(const char *, ...)",
            "sqlite3_int64 sqlite3_last_insert_rowid(sqlite3 *)",
        ],
    );
    comment_begins(&sqlite, "sqlite3_close", "CAPI3REF: Closing A Database Connection");
    comment_begins(&sqlite, "sqlite3_close_v2", "CAPI3REF: Closing A Database Connection");
    comment_begins(&sqlite, "sqlite3_backup_step", "CAPI3REF: Online Backup API.");
    let undocumented = sqlite.functions.iter().filter(|function| function.comment.is_none()).count();
    assert!(undocumented * 5 < sqlite.functions.len(), "{undocumented} functions without a comment");
    assert_eq!(record(&sqlite, "struct sqlite3").size, None);
    assert_eq!(constant(&sqlite, "SQLITE_ROW").value, ConstantValue::Integer(100));
    assert_eq!(constant(&sqlite, "SQLITE_OPEN_READWRITE").value, ConstantValue::Integer(2));
    let list = function(&sqlite, "sqlite3_vmprintf").parameters[1].ty.kind.clone();
    assert_eq!(list, TypeKind::Unsupported("va_list".to_owned()));
}

#[test]
fn the_c_library() {
    let headers =
        ["stdlib.h", "math.h", "stdio.h", "string.h", "complex.h", "limits.h"].map(Into::into).to_vec();
    let libc = parse(&Options { headers, ..Options::default() }).unwrap();
    prototypes(
        &libc,
        &[
            "double cos(double __x)",
            "float powf(float __x, float __y)",
            "long double sinl(long double __x)",
            "_Complex double cexp(_Complex double __z)",
            "int printf(const char *restrict __format, ...)",
            "void *malloc(size_t __size)",
            "void qsort(void *__base, size_t __nmemb, size_t __size, __compar_fn_t __compar)",
            "void exit(int __status)",
            "div_t div(int __numer, int __denom)",
        ],
    );
    comment_begins(&libc, "strlen", "Return the length of S.");
    comment_begins(&libc, "malloc", "Allocate SIZE bytes of memory.");
    assert_eq!(function(&libc, "sscanf").symbol.as_deref(), Some("__isoc99_sscanf"));
    assert_eq!(function(&libc, "printf").symbol, None);
    assert_eq!(function(&libc, "cos").location.file.file_name().unwrap(), "mathcalls.h");
    assert_eq!(record(&libc, "div_t").size, Some(8));
    assert_eq!(constant(&libc, "EOF").value, ConstantValue::Integer(-1));
    assert_eq!(constant(&libc, "INT_MIN").value, ConstantValue::Integer(i32::MIN.into()));
    assert_eq!(constant(&libc, "ULONG_MAX").value, ConstantValue::Integer(u64::MAX.into()));
    assert_eq!(constant(&libc, "M_PI").value, ConstantValue::Float(std::f64::consts::PI));
    assert_eq!(constant(&libc, "INFINITY").value, ConstantValue::Float(f64::INFINITY));
    assert_eq!(constant(&libc, "P_tmpdir").value, ConstantValue::String(b"/tmp".to_vec()));
    assert!(libc.constants.iter().all(|constant| constant.name != "__GLIBC__"));
}

/// Every header that is the compiler's own, together and alone.
#[test]
fn the_freestanding_headers() {
    let mut names = vec![
        "stddef",
        "stdarg",
        "stdbool",
        "stdint",
        "limits",
        "float",
        "stdalign",
        "stdnoreturn",
        "iso646",
        "stdatomic",
        "tgmath",
    ];
    if cfg!(target_arch = "x86_64") {
        names.extend(["emmintrin", "immintrin", "x86intrin"]);
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("freestanding");
    std::fs::create_dir_all(&directory).unwrap();
    let includes: Vec<_> = names.iter().map(|name| format!("#include <{name}.h>\n")).collect();
    for (name, text) in names.iter().zip(&includes).chain([(&"all", &includes.concat())]) {
        let header = directory.join(format!("only_{name}.h"));
        std::fs::write(&header, text).unwrap();
        let interface = parse(&Options { headers: vec![header], ..Options::default() });
        assert!(interface.is_ok(), "{name}: {}", interface.unwrap_err());
    }
}
