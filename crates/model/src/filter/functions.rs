//! `geoDistance` and `strftime`.

use base::Value;
use query::Operand;

use super::compare::Side;
use super::error::Cause;
use super::parser::Term;
use super::resolve::Resolver;

/// Modifiers of one `strftime`.
const MODIFIERS_MAX: usize = 8;

pub(super) fn call(resolver: &mut Resolver<'_>, name: &str, arguments: &[Term]) -> Result<Side, Cause> {
    match name {
        "geoDistance" => geo_distance(resolver, arguments),
        "strftime" => strftime(resolver, arguments),
        _ => Err(Cause::Function(name.to_owned())),
    }
}

/// `geoDistance(lonA, latA, lonB, latB)`, in kilometres. Of a many-valued argument any value is enough.
fn geo_distance(resolver: &mut Resolver<'_>, arguments: &[Term]) -> Result<Side, Cause> {
    let fail = |text: String| Err(Cause::Argument("geoDistance", text));
    if arguments.len() != 4 {
        return fail(format!("expected 4 arguments, got {}", arguments.len()));
    }
    let mut email = None;
    let mut points = Vec::with_capacity(4);
    for (index, argument) in arguments.iter().enumerate() {
        if matches!(argument, Term::Text(_) | Term::Call { .. }) {
            return fail(format!("argument {index} must be an identifier or number"));
        }
        let side = plain(resolver.side(argument)?);
        email = email.or(side.email);
        points.push(side.operand);
    }
    let Ok(points) = <[Operand; 4]>::try_from(points) else { return fail("expected 4 arguments".to_owned()) };
    Ok(Side { email, ..Side::new(Operand::GeoDistance(Box::new(points))) })
}

/// `strftime(format, [time, modifiers…])`; without a time it is now.
fn strftime(resolver: &mut Resolver<'_>, arguments: &[Term]) -> Result<Side, Cause> {
    let fail = |text: String| Err(Cause::Argument("strftime", text));
    let Some((format, rest)) = arguments.split_first() else {
        return fail("expected at least 1 arguments, got 0".to_owned());
    };
    if arguments.len() > MODIFIERS_MAX + 2 {
        let max = MODIFIERS_MAX + 2;
        return fail(format!("too many arguments (max allowed {max}, got {})", arguments.len()));
    }
    let Term::Text(format) = format else {
        return fail("expects the first argument to be a format string".to_owned());
    };
    let time = match rest.first() {
        None => Side::constant(Value::Text(resolver.now.to_string().into())),
        Some(Term::Call { .. }) => {
            return fail("expects the second argument to be of a valid time-value type".to_owned());
        }
        Some(term) => plain(resolver.side(term)?),
    };
    let mut modifiers = Vec::with_capacity(rest.len().saturating_sub(1));
    for (index, modifier) in rest.iter().skip(1).enumerate() {
        let Term::Text(modifier) = modifier else {
            return fail(format!("invalid modifier argument {index} - can be only string"));
        };
        modifiers.push((&**modifier).into());
    }
    let operand = Operand::Strftime { format: (&**format).into(), value: Box::new(time.operand), modifiers };
    Ok(Side { leaf: time.leaf, email: time.email, ..Side::new(operand) })
}

/// A condition (`:changed`) is no value; it counts as missing.
fn plain(side: Side) -> Side {
    if side.condition.is_some() { Side::null() } else { side }
}
