//! What is wrong, and where.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// All that was found.
#[derive(Default)]
pub(crate) struct Errors(TokenStream);

impl Errors {
    /// At one token.
    pub(crate) fn at(&mut self, span: Span, message: &str) {
        self.between(span, span, message);
    }

    /// At some tokens, or at a place where some are missing.
    pub(crate) fn over(&mut self, tokens: &[TokenTree], otherwise: Span, message: &str) {
        match tokens {
            [first, .., last] => self.between(first.span(), last.span(), message),
            [only] => self.at(only.span(), message),
            [] => self.at(otherwise, message),
        }
    }

    /// `::core::compile_error! { "message" }`, whose first and last token are at these places: the
    /// compiler underlines all that is between them.
    fn between(&mut self, first: Span, last: Span, message: &str) {
        let colon = |spacing| punct(':', spacing, first);
        let mut message = Literal::string(message);
        message.set_span(last);
        let mut message = Group::new(Delimiter::Brace, TokenTree::from(message).into());
        message.set_span(last);
        self.0.extend([
            colon(Spacing::Joint),
            colon(Spacing::Alone),
            Ident::new("core", first).into(),
            colon(Spacing::Joint),
            colon(Spacing::Alone),
            Ident::new("compile_error", first).into(),
            punct('!', Spacing::Alone, first),
            message.into(),
        ]);
    }

    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0
    }
}

fn punct(character: char, spacing: Spacing, span: Span) -> TokenTree {
    let mut punct = Punct::new(character, spacing);
    punct.set_span(span);
    punct.into()
}
