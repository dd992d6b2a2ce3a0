//! What a component's function takes and gives, as the contract would write it.

use std::fmt::Write;

use wasmtime::component::{Type, types::ComponentFunc};

use super::fault::bounded;

/// Bytes of a signature. One of the contract is much shorter, and one that is not may be as long as its component.
const LONGEST: usize = 300;

/// In the words of WIT, such as `async func(input: list<u8>) -> result<_, string>`. A type that has a name of its own is told by
/// what it is made of. A long signature is cut.
pub(super) fn signature(function: &ComponentFunc) -> String {
    let mut text = String::from(if function.async_() { "async func(" } else { "func(" });
    for (place, (name, ty)) in function.params().enumerate() {
        separate(&mut text, place);
        if text.len() > LONGEST {
            break;
        }
        text.push_str(name);
        text.push_str(": ");
        say(&mut text, &ty);
    }
    text.push(')');
    for ty in function.results() {
        text.push_str(" -> ");
        say(&mut text, &ty);
    }
    bounded(text, LONGEST)
}

fn say(text: &mut String, ty: &Type) {
    // What goes beyond is cut: types nest, and share their parts.
    if text.len() > LONGEST {
        return;
    }
    match ty {
        Type::Bool => text.push_str("bool"),
        Type::S8 => text.push_str("s8"),
        Type::U8 => text.push_str("u8"),
        Type::S16 => text.push_str("s16"),
        Type::U16 => text.push_str("u16"),
        Type::S32 => text.push_str("s32"),
        Type::U32 => text.push_str("u32"),
        Type::S64 => text.push_str("s64"),
        Type::U64 => text.push_str("u64"),
        Type::Float32 => text.push_str("f32"),
        Type::Float64 => text.push_str("f64"),
        Type::Char => text.push_str("char"),
        Type::String => text.push_str("string"),
        Type::List(list) => of(text, "list", [Some(list.ty())]),
        Type::Map(map) => of(text, "map", [Some(map.key()), Some(map.value())]),
        Type::Record(record) => {
            named(text, "record", record.fields().map(|field| (field.name.to_owned(), Some(field.ty))));
        }
        Type::Tuple(tuple) => of(text, "tuple", tuple.types().map(Some)),
        Type::Variant(variant) => {
            named(text, "variant", variant.cases().map(|case| (case.name.to_owned(), case.ty)));
        }
        Type::Enum(cases) => named(text, "enum", cases.names().map(|name| (name.to_owned(), None))),
        Type::Option(option) => of(text, "option", [Some(option.ty())]),
        Type::Result(result) => match (result.ok(), result.err()) {
            (None, None) => text.push_str("result"),
            (ok, None) => of(text, "result", [ok]),
            (ok, err) => of(text, "result", [ok, err]),
        },
        Type::Flags(flags) => named(text, "flags", flags.names().map(|name| (name.to_owned(), None))),
        Type::Own(_) => text.push_str("resource"),
        Type::Borrow(_) => text.push_str("borrow<resource>"),
        Type::Future(future) => match future.ty() {
            None => text.push_str("future"),
            some => of(text, "future", [some]),
        },
        Type::Stream(stream) => match stream.ty() {
            None => text.push_str("stream"),
            some => of(text, "stream", [some]),
        },
        Type::ErrorContext => text.push_str("error-context"),
        Type::FixedLengthList(list) => {
            of(text, "list", [Some(list.ty())]);
            // Writing into a text cannot fail.
            write!(text, " of {}", list.len()).ok();
        }
    }
}

/// A type made of others, such as `list<u8>`; none is written `_`.
fn of(text: &mut String, name: &str, parts: impl IntoIterator<Item = Option<Type>>) {
    text.push_str(name);
    text.push('<');
    for (place, part) in parts.into_iter().enumerate() {
        separate(text, place);
        match part {
            Some(ty) => say(text, &ty),
            None => text.push('_'),
        }
        if text.len() > LONGEST {
            break;
        }
    }
    text.push('>');
}

/// A type whose parts have names, such as `enum { low, high }`.
fn named(text: &mut String, word: &str, parts: impl Iterator<Item = (String, Option<Type>)>) {
    text.push_str(word);
    text.push_str(" { ");
    for (place, (name, ty)) in parts.enumerate() {
        separate(text, place);
        text.push_str(&name);
        if let Some(ty) = ty {
            text.push_str(": ");
            say(text, &ty);
        }
        if text.len() > LONGEST {
            break;
        }
    }
    text.push_str(" }");
}

fn separate(text: &mut String, place: usize) {
    if place > 0 {
        text.push_str(", ");
    }
}
