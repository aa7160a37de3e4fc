//! Which Python a strategy is written for.

use std::fmt;
use std::str::FromStr;

/// The version of Python whose syntax a strategy may use: 3.7 to 3.14.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PythonVersion {
    minor: u8,
}

/// Text that is no version of Python that can be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a supported version of Python; expected one of 3.7 to 3.14, as in \"3.13\"")]
pub struct PythonVersionError(String);

impl PythonVersion {
    const MINORS: std::ops::RangeInclusive<u8> = 7..=14;

    pub(super) const fn to_ruff(self) -> ruff_python_ast::PythonVersion {
        ruff_python_ast::PythonVersion { major: 3, minor: self.minor }
    }
}

impl Default for PythonVersion {
    /// 3.13.
    fn default() -> Self {
        Self { minor: 13 }
    }
}

impl FromStr for PythonVersion {
    type Err = PythonVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::MINORS
            .map(|minor| Self { minor })
            .find(|version| version.to_string() == text)
            .ok_or_else(|| PythonVersionError(text.to_owned()))
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}", self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_3_7_to_3_14_read_back() {
        for text in ["3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"] {
            assert_eq!(text.parse::<PythonVersion>().unwrap().to_string(), text);
        }
        assert_eq!(PythonVersion::default().to_string(), "3.13");
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let (old, new): (PythonVersion, PythonVersion) =
            ("3.9".parse().unwrap(), "3.10".parse().unwrap());
        assert!(old < new);
    }

    #[test]
    fn other_versions_are_refused_with_the_range() {
        for text in ["", "3", "3.6", "3.15", "2.7", "3.07", "3.13.1", " 3.13", "3.1e1"] {
            let error = text.parse::<PythonVersion>().unwrap_err();
            assert!(error.to_string().contains("3.7 to 3.14"), "{text}");
        }
    }
}
