//! The head of a function, taken apart; types and the body stay unread.

use proc_macro::{Delimiter, Ident, Span, TokenStream, TokenTree};

use crate::errors::Errors;
use crate::options::Attribute;
use crate::tokens::{flat, is_punct, is_word};

/// An async function.
pub(crate) struct Function {
    /// With `#` and brackets.
    pub(crate) attributes: Vec<TokenTree>,
    pub(crate) visibility: Vec<TokenTree>,
    /// `fn`.
    pub(crate) keyword: TokenTree,
    pub(crate) name: Ident,
    /// `-> Type`, or nothing.
    pub(crate) output: Vec<TokenTree>,
    /// `where ..`, or nothing.
    pub(crate) conditions: Vec<TokenTree>,
    /// Where the body is.
    pub(crate) body: Span,
    /// From its qualifiers to its body.
    pub(crate) whole: Vec<TokenTree>,
    /// Whether it is one that can be called without anything.
    pub(crate) is_plain: bool,
    /// Whether it is a test without us.
    pub(crate) is_test: bool,
}

impl Function {
    /// `None`: it is no async function, which `errors` says.
    pub(crate) fn parse(
        item: TokenStream,
        attribute: Attribute,
        errors: &mut Errors,
    ) -> Option<Function> {
        let tokens = flat(item);
        let mut rest = Cursor(&tokens);
        let attributes = rest.attributes().to_vec();
        let visibility = rest.visibility().to_vec();
        let whole = rest.0.to_vec();
        let qualifiers = rest.qualifiers();
        let Some(keyword) = rest.keyword("fn") else {
            let place = attribute.span();
            errors.over(rest.0, place, &format!("{attribute} needs an `async fn`"));
            return None;
        };
        if !qualifiers.iter().any(|token| is_word(token, "async")) {
            let message = format!("{attribute} needs an `async fn`: here is no `async`");
            errors.at(keyword.span(), &message);
            return None;
        }
        let name = rest.ident()?;
        let mut is_plain = true;
        let mut refuse = |tokens: &[TokenTree], what: &str| {
            if !tokens.is_empty() {
                is_plain = false;
                let message = format!("{attribute} calls the function, which cannot {what}");
                errors.over(tokens, name.span(), &message);
            }
        };
        for (word, what) in [("unsafe", "be `unsafe`"), ("extern", "be `extern`")] {
            if let Some(at) = qualifiers.iter().position(|token| is_word(token, word)) {
                refuse(&qualifiers[at..=at], what);
            }
        }
        refuse(rest.generics(), "be generic");
        let arguments: Vec<TokenTree> = rest.arguments()?.into_iter().collect();
        refuse(&arguments, "take arguments");
        let (head, body) = rest.0.split_at(rest.0.len().checked_sub(1)?);
        if !matches!(body, [TokenTree::Group(body)] if body.delimiter() == Delimiter::Brace) {
            errors.over(body, name.span(), &format!("{attribute} needs a body"));
            return None;
        }
        let conditions = head.iter().position(|token| is_word(token, "where"));
        let (output, conditions) = head.split_at(conditions.unwrap_or(head.len()));
        let tests = attribute_test(&attributes);
        if let (Some(test), Attribute::Test) = (&tests, attribute) {
            // The harness would run it twice.
            errors.at(*test, "`#[executor::test]` makes it a test by itself");
        }
        Some(Function {
            attributes,
            visibility,
            output: output.to_vec(),
            conditions: conditions.to_vec(),
            body: body[0].span(),
            keyword: keyword.clone(),
            name,
            whole,
            is_plain,
            is_test: tests.is_some(),
        })
    }

    /// What it returns; nothing also where `()` is written.
    pub(crate) fn returns(&self) -> &[TokenTree] {
        match &self.output[..] {
            [_, _, TokenTree::Group(unit)]
                if unit.delimiter() == Delimiter::Parenthesis && unit.stream().is_empty() =>
            {
                &[]
            }
            output => output.get(2..).unwrap_or_default(),
        }
    }
}

/// Where `#[test]` is.
fn attribute_test(attributes: &[TokenTree]) -> Option<Span> {
    attributes.iter().find_map(|token| match token {
        TokenTree::Group(group) => {
            let inside: Vec<TokenTree> = group.stream().into_iter().collect();
            matches!(&inside[..], [only] if is_word(only, "test")).then(|| inside[0].span())
        }
        _ => None,
    })
}

/// What is not read yet.
struct Cursor<'a>(&'a [TokenTree]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> &'a [TokenTree] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn attributes(&mut self) -> &'a [TokenTree] {
        let pairs = self.0.chunks_exact(2);
        let are = |pair: &&[TokenTree]| is_punct(&pair[0], '#');
        self.take(2 * pairs.take_while(are).count())
    }

    fn visibility(&mut self) -> &'a [TokenTree] {
        match self.0 {
            [first, TokenTree::Group(path), ..]
                if is_word(first, "pub") && path.delimiter() == Delimiter::Parenthesis =>
            {
                self.take(2)
            }
            [first, ..] if is_word(first, "pub") => self.take(1),
            _ => &[],
        }
    }

    fn qualifiers(&mut self) -> &'a [TokenTree] {
        const WORDS: [&str; 5] = ["const", "async", "unsafe", "safe", "extern"];
        let is_one = |token: &&TokenTree| {
            // The literal: `extern "C"`.
            matches!(token, TokenTree::Literal(_)) || WORDS.iter().any(|word| is_word(token, word))
        };
        self.take(self.0.iter().take_while(is_one).count())
    }

    fn keyword(&mut self, word: &str) -> Option<&'a TokenTree> {
        let first = self.0.first().filter(|first| is_word(first, word))?;
        self.take(1);
        Some(first)
    }

    fn ident(&mut self) -> Option<Ident> {
        match self.take(usize::from(!self.0.is_empty())) {
            [TokenTree::Ident(ident)] => Some(ident.clone()),
            _ => None,
        }
    }

    /// `<..>`, or nothing.
    fn generics(&mut self) -> &'a [TokenTree] {
        let mut depth = 0;
        let mut count = 0;
        let mut before_is_minus = false;
        for token in self.0 {
            if is_punct(token, '<') {
                depth += 1;
            } else if is_punct(token, '>') && !before_is_minus {
                depth -= 1;
            }
            if depth == 0 && count == 0 {
                break;
            }
            before_is_minus = is_punct(token, '-');
            count += 1;
            if depth == 0 {
                break;
            }
        }
        self.take(count)
    }

    fn arguments(&mut self) -> Option<TokenStream> {
        match self.take(usize::from(!self.0.is_empty())) {
            [TokenTree::Group(group)] if group.delimiter() == Delimiter::Parenthesis => {
                Some(group.stream())
            }
            _ => None,
        }
    }
}
