//! What the Valgrind that runs this process was told to do.

use std::env;
use std::path::Path;

/// The value of `--name=value` in force, `name` with its dashes; `None` where nobody set it.
///
/// Valgrind hides its own command line behind `/proc/self/cmdline`, which it answers itself; it
/// does not do so for the same file reached by way of the thread.
pub fn option(name: &str) -> Option<String> {
    let command_line = std::fs::read("/proc/thread-self/cmdline").unwrap_or_default();
    let words =
        command_line.split(|byte| *byte == 0).skip(1).map(|word| String::from_utf8_lossy(word).into_owned());
    let mine = words.take_while(|word| word.starts_with('-'));
    in_force(name, files_and_environment().into_iter().chain(mine))
}

/// Valgrind reads these before its command line, in this order.
fn files_and_environment() -> Vec<String> {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let home = env::home_dir().map(|home| read(&home.join(".valgrindrc"))).unwrap_or_default();
    let variable = env::var("VALGRIND_OPTS").unwrap_or_default();
    let here = read(Path::new(".valgrindrc"));
    [home, variable, here].iter().flat_map(|text| text.split_whitespace().map(str::to_owned)).collect()
}

fn in_force(name: &str, words: impl Iterator<Item = String>) -> Option<String> {
    let value = |word: String| {
        let word = word.strip_prefix("--memcheck:").map_or(word.clone(), |rest| format!("--{rest}"));
        word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned)
    };
    words.filter_map(value).last()
}

#[cfg(test)]
mod tests {
    use super::in_force;

    #[test]
    fn the_last_word_counts_and_tool_prefixes_are_understood() {
        let words = [
            "--show-leak-kinds=all",
            "--log-file=x",
            "--memcheck:show-leak-kinds=definite",
            "--show-leak-kinds-x=1",
        ];
        let words = || words.iter().map(|word| (*word).to_owned());
        assert_eq!(in_force("--show-leak-kinds", words()).as_deref(), Some("definite"));
        assert_eq!(in_force("--num-callers", words()), None);
    }
}
