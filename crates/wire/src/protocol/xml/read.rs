//! Reads XML into a tree, and the tree into JSON by the shape of the input. There are no document types and no entities
//! but the five that XML has itself, so a small text cannot become a large one.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

use crate::protocol::{MAX_DEPTH, scalar};
use crate::schema::{Kind, Member, Place, Shape, TimestampFormat};

/// The most elements and attributes of one document.
const MAX_NODES: usize = 100_000;

/// One element. Namespaces are not looked at: names have no prefix, those of attributes have theirs.
#[derive(Debug, Default)]
pub struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Reads a whole document; says what is wrong with it.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Element> = Vec::new();
        let mut root = None;
        let mut nodes = 0;
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => {
                    if open.len() >= MAX_DEPTH {
                        return Err(format!("it is nested deeper than {MAX_DEPTH}"));
                    }
                    open.push(element(&start, &mut nodes)?);
                }
                Event::Empty(start) => place(element(&start, &mut nodes)?, &mut open, &mut root)?,
                Event::End(_) => {
                    let closed = open.pop().ok_or("an element ends that did not begin")?;
                    place(closed, &mut open, &mut root)?;
                }
                Event::Text(text) => write(&mut open, &text.xml10_content())?,
                Event::CData(text) => write(&mut open, &text.xml10_content())?,
                Event::GeneralRef(name) => {
                    match name.resolve_char_ref().map_err(|error| error.to_string())? {
                        Some(c) => write(&mut open, c.encode_utf8(&mut [0; 4]))?,
                        None => {
                            let text =
                                resolve_predefined_entity(&name).ok_or("it has an entity of its own")?;
                            write(&mut open, text)?;
                        }
                    }
                }
                Event::DocType(_) => return Err("it has a document type".to_owned()),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::Eof if open.is_empty() => return root.ok_or_else(|| "it has no element".to_owned()),
                Event::Eof => return Err("it ends too early".to_owned()),
            }
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

fn element(start: &BytesStart, nodes: &mut usize) -> Result<Element, String> {
    let mut attributes = Vec::new();
    *nodes += 1;
    // That no name is there twice is not checked: it costs the square of their number.
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Explicit1_0)
            .map_err(|error| error.to_string())?;
        attributes.push((attribute.key.into_inner().to_owned(), value.into_owned()));
        *nodes += 1;
    }
    if *nodes > MAX_NODES {
        return Err(format!("it has more than {MAX_NODES} elements"));
    }
    let name = start.local_name().into_inner().to_owned();
    Ok(Element { name, attributes, ..Element::default() })
}

/// Puts an element that is whole into the one around it.
fn place(closed: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), String> {
    match open.last_mut() {
        Some(parent) => parent.children.push(closed),
        None if root.is_some() => return Err("it has more than one element".to_owned()),
        None => *root = Some(closed),
    }
    Ok(())
}

fn write(open: &mut [Element], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("there is text outside of its element".to_owned()),
    }
    Ok(())
}

/// The members of a structure that stand in the body. What is no member is skipped.
pub fn structure(shape: &'static Shape, element: &Element) -> Result<Value, String> {
    let mut members = Map::new();
    for member in shape.members().iter().filter(|member| member.place == Place::Body) {
        if member.attribute {
            if let Some(text) = element.attribute(member.wire_name()) {
                members.insert(member.name.to_owned(), Value::from(text));
            }
            continue;
        }
        let name = member.element_name();
        let mut found = element.children.iter().filter(|child| child.name == name);
        let value = if member.is_flat() {
            let found: Vec<&Element> = found.collect();
            if found.is_empty() {
                continue;
            }
            entries(member, &found)?
        } else {
            // Of one that stands there twice the last counts, as in JSON.
            let Some(found) = found.next_back() else { continue };
            value(member, found)?
        };
        members.insert(member.name.to_owned(), value);
    }
    Ok(Value::Object(members))
}

/// The value of one element.
pub fn value(member: &'static Member, element: &Element) -> Result<Value, String> {
    match &member.shape.kind {
        Kind::Structure { .. } => structure(member.shape, element),
        Kind::List { member: inner, .. } => {
            let name = inner.location.unwrap_or("member");
            entries(member, &element.children.iter().filter(|child| child.name == name).collect::<Vec<_>>())
        }
        Kind::Map { .. } => entries(
            member,
            &element.children.iter().filter(|child| child.name == "entry").collect::<Vec<_>>(),
        ),
        _ => scalar::read(member.shape, element.text.clone(), TimestampFormat::Iso8601),
    }
}

/// The entries of a list or map, each an element.
fn entries(member: &'static Member, found: &[&Element]) -> Result<Value, String> {
    match &member.shape.kind {
        Kind::Map { key, value: inner, .. } => {
            let mut entries = Map::new();
            for entry in found {
                let child = |name: &str| entry.children.iter().find(|child| child.name == name);
                let name = child(key.location.unwrap_or("key")).map_or("", |key| &key.text);
                let found = child(inner.location.unwrap_or("value"));
                let value = found.map_or(Ok(Value::Null), |found| value(inner, found))?;
                entries.insert(name.to_owned(), value);
            }
            Ok(Value::Object(entries))
        }
        Kind::List { member: inner, .. } => found.iter().map(|item| value(inner, item)).collect(),
        _ => Err(format!("{} is no list", member.name)),
    }
}
