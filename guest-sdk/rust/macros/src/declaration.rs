//! Reads an attributed module: which functions handle what, and everything that is wrong with them.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{
    Attribute, Error, FnArg, Ident, Item, ItemFn, ItemMod, LitStr, Signature, Token, Type, TypeReference,
    punctuated::Punctuated, spanned::Spanned,
};

use crate::identifier;

/// Which of the contract's two worlds the bundle is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum World {
    Synchronous,
    Asynchronous,
}

/// A module that declares a bundle, its own attributes taken off.
pub(crate) struct Declaration {
    pub(crate) world: World,
    pub(crate) module: ItemMod,
    pub(crate) activates: Vec<Activate>,
    pub(crate) handlers: Vec<Handler>,
}

/// What activates the bundle: one function, or several under conditions of which one is meant to hold.
pub(crate) struct Activate {
    pub(crate) function: Ident,
    /// Under which `#[cfg]`s the function exists.
    pub(crate) conditions: Vec<TokenStream>,
}

/// One identifier and the function that handles it.
pub(crate) struct Handler {
    pub(crate) identifier: LitStr,
    pub(crate) function: Ident,
    pub(crate) is_async: bool,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) returned: Span,
    /// Under which `#[cfg]`s the function exists.
    pub(crate) conditions: Vec<TokenStream>,
}

/// How a handler takes a parameter, and where it says so.
pub(crate) enum Parameter {
    Borrowed(Span),
    Owned(Span, TokenStream),
}

/// What is wrong, and what is left of the module, so that the compiler does not complain of our attributes too.
pub(crate) struct Fault {
    pub(crate) errors: Error,
    pub(crate) rest: TokenStream,
}

/// Errors: everything that is wrong with the declaration, at once.
pub(crate) fn read(arguments: TokenStream, module: TokenStream) -> Result<Declaration, Fault> {
    let mut reader = Reader::default();
    let world = reader.world(arguments);
    let mut module = match syn::parse2::<ItemMod>(module.clone()) {
        Ok(item) => item,
        Err(_) => {
            let errors = Error::new(Span::call_site(), "`#[bundle]` goes on a module: `mod tasks { … }`");
            return Err(Fault { errors, rest: module });
        }
    };
    match &mut module.content {
        Some((_, items)) => items.iter_mut().for_each(|item| reader.item(world, item)),
        None => reader.refuse(&module, "`#[bundle]` goes on a module that has its body here: `mod tasks { … }`"),
    }
    if reader.handlers.is_empty() && reader.errors.is_none() {
        reader.refuse(&module.ident, "a bundle has at least one handler: `#[handler(\"com.example.hello.greet\")]`");
    }
    match reader.errors {
        Some(errors) => Err(Fault { errors, rest: module.into_token_stream() }),
        None => Ok(Declaration { world, module, activates: reader.activates, handlers: reader.handlers }),
    }
}

/// What has been found so far.
#[derive(Default)]
struct Reader {
    activates: Vec<Activate>,
    handlers: Vec<Handler>,
    errors: Option<Error>,
}

impl Parameter {
    fn of(kind: &Type) -> Parameter {
        match kind {
            Type::Reference(_) => Parameter::Borrowed(kind.span()),
            _ => Parameter::Owned(kind.span(), kind.to_token_stream()),
        }
    }

    pub(crate) fn place(&self) -> Span {
        match self {
            Parameter::Borrowed(place) | Parameter::Owned(place, _) => *place,
        }
    }
}

impl Reader {
    fn fail(&mut self, error: Error) {
        match &mut self.errors {
            Some(errors) => errors.combine(error),
            None => self.errors = Some(error),
        }
    }

    fn refuse(&mut self, place: impl ToTokens, message: impl std::fmt::Display) {
        self.fail(Error::new_spanned(place, message));
    }

    fn world(&mut self, arguments: TokenStream) -> World {
        if arguments.is_empty() {
            return World::Asynchronous;
        }
        match syn::parse2::<Ident>(arguments.clone()) {
            Ok(word) if word == "sync" => {}
            _ => self.refuse(arguments, "`#[bundle]` takes nothing, or `sync` for the synchronous world"),
        }
        World::Synchronous
    }

    /// Takes our attributes off an item, and what they say.
    fn item(&mut self, world: World, item: &mut Item) {
        let Some(attributes) = attributes_of(item) else { return };
        let (ours, theirs) = std::mem::take(attributes).into_iter().partition::<Vec<_>, _>(is_ours);
        *attributes = theirs;
        let Some(first) = ours.first() else { return };
        let Item::Fn(function) = item else {
            return self.refuse(first, format!("`#[{}]` goes on a function", first.path().to_token_stream()));
        };
        self.signature(&function.sig);
        if ours.len() > 1 && ours.iter().any(is_activate) {
            self.refuse(&ours[1], "a function is either what activates the bundle or a handler, once");
        }
        for attribute in &ours {
            if is_activate(attribute) {
                self.activate(attribute, function);
            } else {
                self.handler(world, attribute, function);
            }
        }
    }

    fn signature(&mut self, signature: &Signature) {
        let Signature { constness: _, asyncness: _, unsafety, abi, generics, variadic, .. } = signature;
        let unsafety = unsafety.as_ref().map(Spanned::span);
        let stranger = unsafety.or(abi.as_ref().map(Spanned::span)).or(variadic.as_ref().map(Spanned::span));
        if let Some(place) = stranger {
            self.fail(Error::new(place, "the host calls plain functions: neither `unsafe` nor `extern`"));
        }
        if !generics.params.is_empty() {
            self.refuse(generics, "the host calls plain functions: without generic parameters");
        }
    }

    fn activate(&mut self, attribute: &Attribute, function: &ItemFn) {
        let Signature { asyncness, ident, inputs, .. } = &function.sig;
        if attribute.meta.require_path_only().is_err() {
            self.refuse(&attribute.meta, "`#[activate]` takes nothing");
        }
        if let Some(keyword) = asyncness {
            self.refuse(keyword, "the contract's `activate` is synchronous in both worlds: make this a `fn`");
        }
        if !inputs.is_empty() {
            self.refuse(inputs, "`#[activate]` goes on a function without arguments: no task is running");
        }
        let conditions = conditions(function);
        match self.activates.iter().find(|earlier| is_same(&earlier.conditions, &conditions)) {
            Some(Activate { function: earlier, .. }) => {
                let message = format!("the bundle is activated by one function, and `{earlier}` already is it");
                self.refuse(ident, message);
            }
            None => self.activates.push(Activate { function: ident.clone(), conditions }),
        }
    }

    fn handler(&mut self, world: World, attribute: &Attribute, function: &ItemFn) {
        let Signature { asyncness, ident, inputs, output, .. } = &function.sig;
        if let (World::Synchronous, Some(keyword)) = (world, asyncness) {
            let message =
                "nothing awaits in the synchronous world: make this a `fn`, or the bundle `#[bundle]` without `sync`";
            self.refuse(keyword, message);
        }
        let parameters = self.parameters(inputs);
        let conditions = conditions(function);
        let Some(identifier) = self.identifier(attribute, &conditions) else { return };
        self.handlers.push(Handler {
            identifier,
            function: ident.clone(),
            is_async: asyncness.is_some(),
            parameters,
            returned: match output {
                syn::ReturnType::Default => ident.span(),
                syn::ReturnType::Type(_, returned) => returned.span(),
            },
            conditions,
        });
    }

    /// How a handler takes what: the task and an input, at most.
    fn parameters(&mut self, inputs: &Punctuated<FnArg, Token![,]>) -> Vec<Parameter> {
        let (mut parameters, mut tasks, mut values) = (Vec::new(), 0, 0);
        for parameter in inputs {
            let kind = match parameter {
                FnArg::Typed(parameter) => &parameter.ty,
                FnArg::Receiver(receiver) => {
                    self.refuse(receiver, "a handler is a function, not a method");
                    continue;
                }
            };
            if let Some(message) = refused_reference(kind) {
                self.refuse(kind, message);
                continue;
            }
            let count = if is_task(kind) { &mut tasks } else { &mut values };
            *count += 1;
            parameters.push(Parameter::of(kind));
        }
        if inputs.len() > 2 {
            self.refuse(inputs, "a handler takes the task and an input, at most");
        } else if tasks > 1 {
            self.refuse(inputs, "a handler takes the task once, and an input");
        } else if values > 1 {
            self.refuse(inputs, "a handler takes one input, and the task as `&Task` or `Task`");
        }
        parameters
    }

    /// The identifier of a handler, if it is one and the first of its name. Under different conditions there may be two: whether both
    /// then hold is found when the bundle registers.
    fn identifier(&mut self, attribute: &Attribute, conditions: &[TokenStream]) -> Option<LitStr> {
        let Ok(identifier) = attribute.parse_args::<LitStr>() else {
            self.refuse(
                &attribute.meta,
                "`#[handler]` takes one identifier, as the manifest writes it: `#[handler(\"com.example.hello.greet\")]`",
            );
            return None;
        };
        if let Err(error) = identifier::check(&identifier) {
            self.fail(error);
            return None;
        }
        let name = identifier.value();
        let is_earlier =
            |handler: &&Handler| handler.identifier.value() == name && is_same(&handler.conditions, conditions);
        if let Some(earlier) = self.handlers.iter().find(is_earlier) {
            let message = format!("`{name}` is already handled by `{}`", earlier.function);
            self.refuse(&identifier, message);
            return None;
        }
        Some(identifier)
    }
}

/// What is wrong with a parameter that is borrowed, if the task cannot be meant by it.
fn refused_reference(kind: &Type) -> Option<&'static str> {
    let Type::Reference(TypeReference { mutability, elem, .. }) = kind else { return None };
    match &**elem {
        _ if mutability.is_some() => Some("a handler cannot take `&mut`: take the task as `&Task` or `Task`"),
        Type::Path(path) if path.path.is_ident("str") => {
            Some("a handler cannot take `&str`: take the input as a `String`")
        }
        Type::Slice(_) => Some("a handler cannot take `&[_]`: take the input as a `Vec<u8>`"),
        _ => None,
    }
}

/// Whether the task is meant: what is borrowed, or is called `Task`.
fn is_task(kind: &Type) -> bool {
    match kind {
        Type::Reference(_) => true,
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Task"),
        _ => false,
    }
}

/// Under which `#[cfg]`s a function exists.
fn conditions(function: &ItemFn) -> Vec<TokenStream> {
    let conditions = function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.map(ToTokens::to_token_stream).collect()
}

fn is_same(one: &[TokenStream], other: &[TokenStream]) -> bool {
    let text = |conditions: &[TokenStream]| conditions.iter().map(ToString::to_string).collect::<Vec<_>>();
    text(one) == text(other)
}

fn is_activate(attribute: &Attribute) -> bool {
    attribute.path().is_ident("activate")
}

fn is_ours(attribute: &Attribute) -> bool {
    is_activate(attribute) || attribute.path().is_ident("handler")
}

/// Where an item of a module keeps its attributes. Kinds of items that are yet to be invented keep none that are ours.
fn attributes_of(item: &mut Item) -> Option<&mut Vec<Attribute>> {
    match item {
        Item::Const(item) => Some(&mut item.attrs),
        Item::Enum(item) => Some(&mut item.attrs),
        Item::Fn(item) => Some(&mut item.attrs),
        Item::Impl(item) => Some(&mut item.attrs),
        Item::Macro(item) => Some(&mut item.attrs),
        Item::Mod(item) => Some(&mut item.attrs),
        Item::Static(item) => Some(&mut item.attrs),
        Item::Struct(item) => Some(&mut item.attrs),
        Item::Trait(item) => Some(&mut item.attrs),
        Item::Type(item) => Some(&mut item.attrs),
        Item::Use(item) => Some(&mut item.attrs),
        _ => None,
    }
}
