//! The name that somebody may have meant.

/// How much alike two names must be, 0 to 1.
const LIKE: f64 = 0.6;

/// The known name that is most like `name`, if one is like it.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.filter_map(|known| Some((similarity(name, known)?, known)));
    near.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1))).map(|(_, known)| known)
}

/// The end of a message about a name that is not known: the known one that is most like it.
pub fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known).map_or(String::new(), |known| format!("; did you mean '{known}'?"))
}

/// How much alike they are, if that is enough. Their lengths tell of most that it is not: there may be thousands.
fn similarity(name: &str, known: &str) -> Option<f64> {
    let (short, long) = (name.len().min(known.len()), name.len().max(known.len()));
    if (short as f64) < LIKE * long as f64 {
        return None;
    }
    Some(strsim::normalized_damerau_levenshtein(name, known)).filter(|similarity| *similarity >= LIKE)
}

#[cfg(test)]
mod tests {
    use super::{did_you_mean, nearest};

    #[test]
    fn the_most_alike_is_meant_and_the_first_of_equals() {
        let known = ["width", "height", "wide", "weight"];
        assert_eq!(nearest("widht", known.into_iter()), Some("width"));
        assert_eq!(nearest("heigth", known.into_iter()), Some("height"));
        assert_eq!(nearest("abcx", ["abcz", "abcy"].into_iter()), Some("abcy"));
        assert_eq!(did_you_mean("depth", known.into_iter()), "");
        assert_eq!(did_you_mean("wdth", known.into_iter()), "; did you mean 'width'?");
    }
}
