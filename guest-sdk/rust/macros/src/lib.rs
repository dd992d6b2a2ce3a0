//! The attribute that makes a module of handlers a bundle. It is used, and explained, through `idlewild_guest`.

mod declaration;
mod expansion;
mod identifier;

use proc_macro2::TokenStream;

/// Makes a module of handlers the bundle that this crate is; explained where `idlewild_guest` gives it out.
#[proc_macro_attribute]
pub fn bundle(arguments: proc_macro::TokenStream, module: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(arguments.into(), module.into()).into()
}

/// The module with its attributes taken off and its bundle declared; or with everything that is wrong, each at its place.
fn expand(arguments: TokenStream, module: TokenStream) -> TokenStream {
    match declaration::read(arguments, module) {
        Ok(declaration) => expansion::whole(declaration),
        Err(fault) => expansion::faulty(fault),
    }
}

#[cfg(test)]
mod tests;
