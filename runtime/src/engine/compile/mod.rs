//! Compiling, which this process never does itself: a component is compiled by a child that has limits and may die of it.

mod child;
mod code;
mod leash;
mod parent;

pub use self::child::compile_component;
pub(super) use self::{code::Code, parent::Compiler};

/// The hidden command of the program that compiles.
const COMMAND: &str = "compile-component";

/// The child's exit codes for what it has looked at and refuses; stderr says why.
const INVALID: u8 = 65;
const REFUSED: u8 = 66;

/// Why there is no compiled code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CompileError {
    /// It is no component that could be compiled.
    #[error("{0}")]
    Invalid(String),
    /// It may be one, but no code came of it.
    #[error("{0}")]
    Failed(String),
}

/// What binds a child. It goes to it as arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    /// The process whose child it is, and with which it ends.
    parent: u32,
    /// Bytes it may allocate.
    memory: u64,
    /// Seconds it may compute, on all its threads together.
    seconds: u64,
    /// Bytes the component may have.
    component: u64,
    /// Bytes the compiled code may have.
    code: u64,
}

impl Bounds {
    fn arguments(self) -> [String; 5] {
        let Bounds { parent, memory, seconds, component, code } = self;
        [u64::from(parent), memory, seconds, component, code].map(|number| number.to_string())
    }

    fn parse(arguments: &[String]) -> Option<Bounds> {
        let [parent, memory, seconds, component, code] = arguments else { return None };
        Some(Bounds {
            parent: parent.parse().ok()?,
            memory: memory.parse().ok()?,
            seconds: seconds.parse().ok()?,
            component: component.parse().ok()?,
            code: code.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_arrive_as_they_were_sent() {
        let bounds = Bounds { parent: 1, memory: 2 << 30, seconds: 3, component: 4, code: 5 };
        assert_eq!(Bounds::parse(&bounds.arguments()), Some(bounds));
        assert_eq!(Bounds::parse(&bounds.arguments()[1..]), None);
        assert_eq!(Bounds::parse(&["-1", "2", "3", "4", "5"].map(str::to_owned)), None);
    }
}
