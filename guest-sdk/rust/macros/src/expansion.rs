//! Writes what an attributed module becomes: itself, its bundle as a constant, and the component's exports.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use crate::declaration::{Activate, Declaration, Fault, Handler, Parameter, World};

/// The module as it stands, and the compiler's errors beside it.
pub(crate) fn faulty(fault: Fault) -> TokenStream {
    let Fault { errors, rest } = fault;
    let errors = errors.into_compile_error();
    quote!(#errors #rest)
}

/// The module with its bundle declared.
pub(crate) fn whole(declaration: Declaration) -> TokenStream {
    let Declaration { world, mut module, activates, handlers } = declaration;
    let (handler, export) = match world {
        World::Synchronous => (quote!(Handler), quote!(__export_synchronous)),
        World::Asynchronous => (quote!(AsyncHandler), quote!(__export_asynchronous)),
    };
    let activates = activates.iter().map(|Activate { function, conditions }| {
        let call = quote_spanned!(function.span()=> ::idlewild_guest::__private::activate(#function)?;);
        quote!(#(#conditions)* #call)
    });
    let activate = quote!(|| { #(#activates)* ::core::result::Result::Ok(()) });
    let handlers = handlers.iter().map(|handler| entry(world, handler));
    let declared = [
        quote! {
            /// What this module declares, for the component's exports and for tests.
            #[allow(dead_code)]
            pub(crate) const BUNDLE: ::idlewild_guest::Bundle<::idlewild_guest::__private::#handler> =
                ::idlewild_guest::__private::declare(&[#(#handlers),*], #activate);
        },
        quote! {
            #[cfg(target_family = "wasm")]
            ::idlewild_guest::#export!(BUNDLE);
        },
    ];
    if let Some((_, items)) = &mut module.content {
        items.extend(declared.into_iter().map(syn::Item::Verbatim));
    }
    quote!(#module)
}

/// A row of the table of handlers.
fn entry(world: World, handler: &Handler) -> TokenStream {
    let Handler { identifier, function, is_async, parameters, returned, conditions } = handler;
    let places = parameters.iter().map(Parameter::place).enumerate();
    let names: Vec<_> = places.map(|(number, place)| format_ident!("parameter_{number}", span = place)).collect();
    let values = parameters.iter().map(value);
    let call = quote_spanned!(function.span()=> #function(#(#names),*));
    let returns = if *is_async { quote!(#call.await) } else { call };
    let output = conclude(*returned, &returns);
    let body = quote!(#(let #names = #values;)* #output);
    let row = match world {
        World::Synchronous => quote!(|task| { #body }),
        World::Asynchronous => quote!(|task| ::std::boxed::Box::pin(async move { let task = &task; #body })),
    };
    quote!(#(#conditions)* (#identifier, #row))
}

/// What a handler is given for a parameter: the task itself where it borrows, else what its type makes of the task.
fn value(parameter: &Parameter) -> TokenStream {
    match parameter {
        Parameter::Borrowed(place) => quote_spanned!(*place=> task),
        Parameter::Owned(place, kind) => quote_spanned!(*place=> <#kind as ::idlewild_guest::Input>::from_task(task)?),
    }
}

/// The output, complained of where the function says what it returns.
fn conclude(returned: Span, value: &TokenStream) -> TokenStream {
    quote_spanned!(returned=> ::idlewild_guest::Output::into_output(#value))
}
