//! The files that a process has mapped: the objects of Valgrind's frames.

use std::fs;
use std::ops::Range;
use std::path::Path;

/// The files that a process has loaded.
pub fn loaded_objects(pid: u32) -> Vec<String> {
    let mut objects: Vec<_> = maps(&pid.to_string()).into_iter().map(|(_, object)| object).collect();
    objects.dedup();
    objects
}

/// Where this process has a file, by the name that [`loaded_objects`] gives it.
pub fn addresses_of(object: &str) -> Vec<Range<u64>> {
    maps("self").into_iter().filter(|(_, mapped)| mapped == object).map(|(addresses, _)| addresses).collect()
}

/// The mapped files of a process; none where they cannot be read.
fn maps(process: &str) -> Vec<(Range<u64>, String)> {
    let maps = fs::read_to_string(Path::new("/proc").join(process).join("maps")).unwrap_or_default();
    let map = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).ok();
        Some((address(start)?..address(end)?, line[line.find('/')?..].to_owned()))
    };
    maps.lines().filter_map(map).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_code_lies_in_this_program() {
        let own = std::env::current_exe().unwrap().display().to_string();
        assert!(loaded_objects(std::process::id()).contains(&own));
        let here = maps as *const () as u64;
        assert_eq!(addresses_of(&own).iter().filter(|addresses| addresses.contains(&here)).count(), 1);
        assert_eq!(addresses_of("/no/such/file"), []);
    }
}
