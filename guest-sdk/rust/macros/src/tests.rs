//! What the attribute makes of modules, good and bad.

use quote::quote;

use super::{TokenStream, expand};

/// The messages of the `compile_error!`s in an expansion.
fn messages(expansion: TokenStream) -> Vec<String> {
    let file = syn::parse2::<syn::File>(expansion).expect("an expansion is items");
    let errors = file.items.into_iter().filter_map(|item| match item {
        syn::Item::Macro(item) => Some(item.mac.parse_body::<syn::LitStr>().expect("a message").value()),
        _ => None,
    });
    errors.collect()
}

/// Asserts that a module is refused with this message alone.
#[track_caller]
fn refuses(arguments: TokenStream, module: TokenStream, message: &str) {
    let messages = messages(expand(arguments, module));
    assert!(matches!(&messages[..], [only] if only.contains(message)), "not `{message}`: {messages:#?}");
}

#[test]
fn takes_every_shape_of_a_handler() {
    for arguments in [quote!(), quote!(sync)] {
        let module = quote! {
            mod tasks {
                use super::*;
                #[activate]
                fn schedule() -> Result<(), SubmitError> { Ok(()) }
                #[handler("com.example.a.nothing")]
                #[handler("com.example.a.nothing.*")]
                fn nothing() {}
                #[handler("com.example.a.borrows")]
                fn borrows(task: &Task) -> String { String::new() }
                #[cfg(feature = "owns")]
                #[handler("com.example.a.owns")]
                fn owns(task: Task, input: Vec<u8>) -> Result<(), String> { Ok(()) }
            }
        };
        assert_eq!(messages(expand(arguments, module)), Vec::<String>::new());
    }
}

#[test]
fn leaves_no_attribute_of_its_own_behind() {
    let good = quote!(
        mod tasks {
            #[handler("a.b")]
            #[inline]
            async fn run() {}
        }
    );
    let bad = quote!(
        mod tasks {
            #[handler("a.b")]
            fn run() {}
            #[handler("a.b")]
            fn again() {}
        }
    );
    for module in [good, bad] {
        let expansion = expand(quote!(), module).to_string();
        assert!(!expansion.contains("# [handler"), "{expansion}");
    }
    let expansion = expand(
        quote!(),
        quote!(
            mod tasks {
                #[handler("a.b")]
                #[inline]
                async fn run() {}
            }
        ),
    )
    .to_string();
    assert!(expansion.contains("# [inline]"), "{expansion}");
}

#[test]
fn a_handler_is_there_under_its_functions_conditions() {
    let module = quote!(
        mod tasks {
            #[cfg(unix)]
            #[handler("a.b")]
            fn run() {}
        }
    );
    let expansion = expand(quote!(), module).to_string();
    assert!(expansion.contains(r#"# [cfg (unix)] ("a.b""#), "{expansion}");
}

#[test]
fn what_activates_is_called_under_its_conditions() {
    let module = quote!(
        mod tasks {
            #[cfg(unix)]
            #[activate]
            fn schedule() {}
            #[handler("a.b")]
            fn run() {}
        }
    );
    let expansion = expand(quote!(), module).to_string();
    let call = "# [cfg (unix)] :: idlewild_guest :: __private :: activate (schedule) ?";
    assert!(expansion.contains(call), "{expansion}");
}

#[test]
fn one_of_several_that_exclude_each_other_may_handle_or_activate() {
    let module = quote!(
        mod tasks {
            #[cfg(unix)]
            #[activate]
            fn schedule() {}
            #[cfg(not(unix))]
            #[activate]
            fn schedule() {}
            #[cfg(unix)]
            #[handler("a.b")]
            fn run() {}
            #[cfg(not(unix))]
            #[handler("a.b")]
            fn run() {}
        }
    );
    assert_eq!(messages(expand(quote!(), module)), Vec::<String>::new());
}

#[test]
fn refuses_what_cannot_be_a_bundle() {
    let handler = quote!(
        #[handler("a.b")]
        fn run() {}
    );
    refuses(
        quote!(),
        quote!(
            fn run() {}
        ),
        "`#[bundle]` goes on a module: `mod tasks { … }`",
    );
    refuses(
        quote!(),
        quote!(
            mod tasks;
        ),
        "a module that has its body here",
    );
    refuses(
        quote!(),
        quote!(
            mod tasks {}
        ),
        "a bundle has at least one handler",
    );
    refuses(quote!(async), quote!(mod tasks { #handler }), "`#[bundle]` takes nothing, or `sync`");
    refuses(quote!(sync, sync), quote!(mod tasks { #handler }), "`#[bundle]` takes nothing, or `sync`");
}

#[test]
fn refuses_what_cannot_be_a_handler() {
    for (item, message) in [
        (
            quote!(
                #[handler("a.b")]
                struct Run;
            ),
            "`#[handler]` goes on a function",
        ),
        (
            quote!(
                #[handler]
                fn run() {}
            ),
            "`#[handler]` takes one identifier",
        ),
        (
            quote!(
                #[handler(RUN)]
                fn run() {}
            ),
            "`#[handler]` takes one identifier",
        ),
        (
            quote!(
                #[handler("a.b", "a.c")]
                fn run() {}
            ),
            "`#[handler]` takes one identifier",
        ),
        (
            quote!(
                #[handler("a.b")]
                fn run(a: &Task, b: String, c: String) {}
            ),
            "the task and an input, at most",
        ),
        (
            quote!(
                #[handler("a.b")]
                fn run(a: Task, b: Task) {}
            ),
            "a handler takes the task once",
        ),
        (
            quote!(
                #[handler("a.b")]
                fn run(a: &idlewild_guest::Task, b: Task) {}
            ),
            "a handler takes the task once",
        ),
        (
            quote!(
                #[handler("a.b")]
                fn run(a: String, b: Vec<u8>) {}
            ),
            "a handler takes one input",
        ),
        (
            quote!(
                #[handler("a.b")]
                fn run(input: &str) {}
            ),
            "a handler cannot take `&str`: take the input as a `String`",
        ),
        (
            quote!(
                #[handler("a.b")]
                fn run(input: &[u8]) {}
            ),
            "a handler cannot take `&[_]`: take the input as a `Vec<u8>`",
        ),
        (
            quote!(
                #[handler("a.b")]
                fn run(task: &mut Task) {}
            ),
            "a handler cannot take `&mut`: take the task as `&Task` or `Task`",
        ),
        (
            quote!(
                #[handler("a.b")]
                fn run(&self) {}
            ),
            "a function, not a method",
        ),
        (
            quote!(
                #[handler("a.b")]
                fn run<T>() {}
            ),
            "without generic parameters",
        ),
        (
            quote!(
                #[handler("a.b")]
                unsafe fn run() {}
            ),
            "neither `unsafe` nor `extern`",
        ),
        (
            quote!(
                #[handler("a.b")]
                extern "C" fn run() {}
            ),
            "neither `unsafe` nor `extern`",
        ),
    ] {
        refuses(quote!(), quote!(mod tasks { #item }), message);
    }
    refuses(
        quote!(sync),
        quote!(
            mod tasks {
                #[handler("a.b")]
                async fn run() {}
            }
        ),
        "nothing awaits in the synchronous world: make this a `fn`, or the bundle `#[bundle]` without `sync`",
    );
}

#[test]
fn refuses_names_the_host_would_refuse() {
    let long = format!("a.{}", "b".repeat(254));
    for (name, message) in [
        ("refresh", "`refresh` is not a reverse-DNS name of at least two parts"),
        ("", "`` is not a reverse-DNS name"),
        ("com..refresh", "`com..refresh` has an empty part between its dots"),
        ("com.example.", "has an empty part"),
        ("com.*.refresh", "`com.*.refresh` may have a wildcard only at its end"),
        ("com.example.*.*", "may have a wildcard only at its end"),
        ("com.example.größe", "may contain only ASCII letters"),
        ("com.example.a b", "may contain only ASCII letters"),
        (&long, "is longer than 255 bytes"),
    ] {
        refuses(
            quote!(),
            quote!(
                mod tasks {
                    #[handler(#name)]
                    fn run() {}
                }
            ),
            message,
        );
    }
}

#[test]
fn refuses_an_identifier_that_is_handled_twice() {
    let module = quote!(
        mod tasks {
            #[handler("a.b")]
            fn first() {}
            #[handler("a.b")]
            fn second() {}
        }
    );
    refuses(quote!(), module, "`a.b` is already handled by `first`");
    let module = quote!(
        mod tasks {
            #[handler("a.b")]
            #[handler("a.b")]
            fn first() {}
        }
    );
    refuses(quote!(), module, "`a.b` is already handled by `first`");
}

#[test]
fn refuses_what_cannot_activate() {
    for (item, message) in [
        (
            quote!(
                #[activate]
                fn schedule(task: &Task) {}
            ),
            "without arguments: no task is running",
        ),
        (
            quote!(
                #[activate]
                async fn schedule() {}
            ),
            "synchronous in both worlds",
        ),
        (
            quote!(
                #[activate(now)]
                fn schedule() {}
            ),
            "`#[activate]` takes nothing",
        ),
        (
            quote!(
                #[activate]
                static SCHEDULE: u8 = 0;
            ),
            "`#[activate]` goes on a function",
        ),
        (
            quote!(
                #[activate]
                fn first() {}
                #[activate]
                fn second() {}
            ),
            "and `first` already is it",
        ),
        (
            quote!(
                #[activate]
                #[handler("a.c")]
                fn both() {}
            ),
            "either what activates the bundle or a handler",
        ),
    ] {
        refuses(quote!(), quote!(mod tasks { #[handler("a.b")] fn run() {} #item }), message);
    }
}

#[test]
fn says_everything_that_is_wrong_at_once() {
    let module = quote!(
        mod tasks {
            #[handler("a")]
            fn one() {}
            #[handler("a.b")]
            fn two<T>() {}
        }
    );
    assert_eq!(messages(expand(quote!(), module)).len(), 2);
}
