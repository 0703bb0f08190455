//! Readers of sources. Text is borrowed from the request where possible; only addresses, claims and joined texts are
//! allocated.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

use ::http::HeaderName;
use ::http::header::AUTHORIZATION;

use super::{Place, Prefixes, Slice, Source, bearer, parameter};
use crate::http::cookie::{CookieNames, Cookies};
use crate::http::path::without_parameters;
use crate::http::request::Request;

/// A [`Source`] whose cookies are numbered. It reads requests with the cookies that were found by the names it was
/// bound to.
#[derive(Clone, Debug)]
pub struct Reader {
    place: Bound,
    slice: Slice,
}

/// Readers in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub struct Readers(Box<[Reader]>);

/// What a request contains in a source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found<'r> {
    /// The whole text.
    pub whole: Cow<'r, [u8]>,
    slice: Range<usize>,
}

/// A [`Place`] with numbers for cookies.
#[derive(Clone, Debug)]
enum Bound {
    ClientIp(Prefixes),
    Cookie(usize),
    Header(HeaderName),
    Query(String),
    PathParameter(String),
    BearerClaim(String),
    Path,
    All(Box<[Reader]>),
}

impl Source {
    /// Makes the reader of a source. Adds its cookies to `names`, which the caller looks for in each request.
    pub fn bind(self, names: &mut CookieNames) -> Reader {
        let place = match self.place {
            Place::ClientIp(prefixes) => Bound::ClientIp(prefixes),
            Place::Cookie(name) => Bound::Cookie(names.number(&name)),
            Place::Header(name) => Bound::Header(name),
            Place::Query(name) => Bound::Query(name),
            Place::PathParameter(name) => Bound::PathParameter(name),
            Place::BearerClaim(name) => Bound::BearerClaim(name),
            Place::Path => Bound::Path,
            Place::All(parts) => Bound::All(parts.into_iter().map(|part| part.bind(names)).collect()),
        };
        Reader { place, slice: self.slice }
    }
}

impl Readers {
    /// Makes the readers of several sources. See [`Source::bind`].
    pub fn bind(sources: Vec<Source>, names: &mut CookieNames) -> Self {
        Self(sources.into_iter().map(|source| source.bind(names)).collect())
    }

    /// Everything in the sources, in their order, with all cookies and headers of a name: a browser sends all cookies
    /// of one name for different paths, and only the application knows which one it means.
    pub fn each<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>, mut take: impl FnMut(Found<'r>)) {
        for reader in &self.0 {
            let _: Option<()> = reader.search(request, cookies, |found| {
                take(found);
                None
            });
        }
    }

    /// What the first source that is present contains.
    pub fn read<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>) -> Option<Found<'r>> {
        self.0.iter().find_map(|reader| reader.read(request, cookies))
    }
}

impl Reader {
    /// What a request contains in the source. None if it is empty, so that such requests do not share one name. Of
    /// several cookies, headers or parameters of the name it is the first of which the slice leaves something.
    pub fn read<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>) -> Option<Found<'r>> {
        self.search(request, cookies, Some)
    }

    /// Tries everything in the source until `take` returns something.
    fn search<'r, T>(
        &self,
        request: &Request<'r>,
        cookies: &Cookies<'r>,
        mut take: impl FnMut(Found<'r>) -> Option<T>,
    ) -> Option<T> {
        let mut found = |text: Cow<'r, [u8]>| take(self.slice_of(text)?);
        let mut borrowed = |text: &'r [u8]| found(Cow::Borrowed(text));
        let headers = |name: &HeaderName| request.headers.get_all(name).iter().map(|value| value.as_bytes());
        match &self.place {
            Bound::Cookie(number) => cookies.values(*number).find_map(borrowed),
            Bound::Header(name) => headers(name).find_map(borrowed),
            Bound::Query(name) => parameter::of_query(request.query?, name).map(str::as_bytes).find_map(borrowed),
            Bound::PathParameter(name) => parameter::of_path(request.path, name).map(str::as_bytes).find_map(borrowed),
            Bound::BearerClaim(name) => {
                let claims = headers(&AUTHORIZATION).filter_map(|header| bearer::claim(header, name));
                claims.map(|claim| Cow::Owned(claim.into_bytes())).find_map(found)
            }
            Bound::ClientIp(prefixes) => found(Cow::Owned(bytes_of(prefixes.mask(request.client)))),
            Bound::Path => match without_parameters(request.path) {
                Cow::Borrowed(path) => borrowed(path.as_bytes()),
                Cow::Owned(path) => found(Cow::Owned(path.into_bytes())),
            },
            Bound::All(parts) => found(Cow::Owned(joined(parts, request, cookies)?)),
        }
    }

    fn slice_of<'r>(&self, whole: Cow<'r, [u8]>) -> Option<Found<'r>> {
        let slice = self.slice.of(&whole)?;
        Some(Found { whole, slice })
    }
}

impl Found<'_> {
    /// What the slice leaves of it: never empty.
    pub fn text(&self) -> &[u8] {
        &self.whole[self.slice.clone()]
    }
}

impl<'r> Found<'r> {
    /// The same as a string. None if it is not UTF-8.
    pub fn into_text(self) -> Option<Cow<'r, str>> {
        match self.whole {
            Cow::Borrowed(whole) => std::str::from_utf8(&whole[self.slice]).ok().map(Cow::Borrowed),
            Cow::Owned(whole) => std::str::from_utf8(&whole[self.slice]).ok().map(|text| Cow::Owned(text.to_owned())),
        }
    }
}

fn bytes_of(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.to_bits().to_be_bytes().to_vec(),
        IpAddr::V6(v6) => v6.to_bits().to_be_bytes().to_vec(),
    }
}

/// The texts of all parts, each after its length, so that different parts never give the same text.
fn joined<'r>(parts: &[Reader], request: &Request<'r>, cookies: &Cookies<'r>) -> Option<Vec<u8>> {
    let mut joined = Vec::with_capacity(64);
    for part in parts {
        append(&mut joined, part.read(request, cookies)?.text());
    }
    Some(joined)
}

fn append(joined: &mut Vec<u8>, text: &[u8]) {
    joined.extend_from_slice(itoa::Buffer::new().format(text.len()).as_bytes());
    joined.push(b':');
    joined.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use ::http::header::{COOKIE, HeaderValue};
    use ::http::{HeaderMap, Method};
    use base64_simd::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;
    use crate::http::cookie::CookieName;
    use crate::http::request::Scheme;
    use crate::source::Separator;

    const PATH: &str = "/shop;jsessionid=1A2B.n2;empty=/cart;v=3";

    fn headers() -> HeaderMap {
        let token = URL_SAFE_NO_PAD.encode_to_string(r#"{"sub":"dan","tenant":12,"none":""}"#);
        HeaderMap::from_iter([
            (COOKIE, HeaderValue::from_static("a=1; user=; user=ann; empty=; sid=1A2B; sid=3C4D.n1")),
            ("x-user".parse().unwrap(), HeaderValue::from_static("")),
            ("x-user".parse().unwrap(), HeaderValue::from_static("bob.n3")),
            (AUTHORIZATION, HeaderValue::from_str(&format!("Bearer h.{token}.s")).unwrap()),
        ])
    }

    fn request<'r>(headers: &'r HeaderMap, path: &'r str, query: Option<&'r str>) -> Request<'r> {
        let (method, client) = (&Method::GET, [192, 0, 2, 77].into());
        Request { method, host: "shop", path, query, headers, client, scheme: Scheme::Http }
    }

    fn find<T>(source: Source, read: impl FnOnce(Option<Found<'_>>) -> T) -> T {
        let headers = headers();
        let request = request(&headers, PATH, Some("q=1&user=&user=c%69d&empty="));
        let mut names = CookieNames::default();
        let reader = source.bind(&mut names);
        read(reader.read(&request, &names.find(&headers)))
    }

    fn text(source: impl Into<Source>) -> Option<String> {
        find(source.into(), |found| found.map(|found| String::from_utf8_lossy(found.text()).into_owned()))
    }

    fn cookie(name: &str) -> Place {
        Place::Cookie(CookieName::parse(name).unwrap())
    }

    fn header(name: &'static str) -> Place {
        Place::Header(HeaderName::from_static(name))
    }

    fn query(name: &str) -> Place {
        Place::Query(name.into())
    }

    fn path_parameter(name: &str) -> Place {
        Place::PathParameter(name.into())
    }

    fn bearer_claim(name: &str) -> Place {
        Place::BearerClaim(name.into())
    }

    fn all<const N: usize>(parts: [Place; N]) -> Place {
        Place::All(parts.into_iter().map(Source::from).collect())
    }

    fn route(place: Place) -> Source {
        Source { place, slice: Slice { after: Separator::parse(".").ok(), ..Slice::default() } }
    }

    #[test]
    fn each_source_is_read_in_its_place() {
        assert_eq!(text(cookie("user")).as_deref(), Some("ann"));
        assert_eq!(text(header("x-user")).as_deref(), Some("bob.n3"));
        assert_eq!(text(query("user")).as_deref(), Some("c%69d"));
        assert_eq!(text(path_parameter("jsessionid")).as_deref(), Some("1A2B.n2"));
        assert_eq!(text(bearer_claim("sub")).as_deref(), Some("dan"));
        assert_eq!(text(bearer_claim("tenant")).as_deref(), Some("12"));
        assert_eq!(text(Place::Path).as_deref(), Some("/shop/cart"));
    }

    #[test]
    fn a_client_is_its_address_up_to_the_prefix() {
        let bytes = |prefixes| find(Place::ClientIp(prefixes).into(), |found| found.unwrap().text().to_vec());
        assert_eq!(bytes(Prefixes::default()), [192, 0, 2, 77]);
        assert_eq!(bytes(Prefixes { v4: 24, v6: 56 }), [192, 0, 2, 0]);
    }

    #[test]
    fn an_absent_or_empty_text_is_none() {
        let empty = [cookie("empty"), query("empty"), path_parameter("empty"), bearer_claim("none"), Place::All(vec![])];
        let none = [cookie("none"), header("x-none"), query("use"), path_parameter("V"), bearer_claim("SUB")];
        for place in empty.into_iter().chain(none) {
            assert_eq!(text(place.clone()), None, "{place:?}");
        }
    }

    #[test]
    fn a_slice_keeps_the_whole_text() {
        let both = |found: Option<Found<'_>>| {
            found.map(|found| [&found.whole, found.text()].map(|text| String::from_utf8_lossy(text).into_owned()))
        };
        assert_eq!(find(route(header("x-user")), both).unwrap(), ["bob.n3", "n3"]);
        assert_eq!(find(route(path_parameter("jsessionid")), both).unwrap(), ["1A2B.n2", "n2"]);
        assert_eq!(find(route(cookie("user")), both), None);
    }

    #[test]
    fn the_first_cookie_with_a_nonempty_slice_counts() {
        assert_eq!(text(cookie("sid")).as_deref(), Some("1A2B"));
        assert_eq!(text(route(cookie("sid"))).as_deref(), Some("n1"));
    }

    #[test]
    fn all_texts_of_several_sources_are_read_in_order() {
        let headers = headers();
        let request = request(&headers, PATH, Some("user=c%69d&user=dan"));
        let mut names = CookieNames::default();
        let places = [header("x-user"), cookie("sid"), cookie("empty"), cookie("none"), query("user")];
        let readers = Readers::bind(places.map(Source::from).into(), &mut names);
        let mut all = Vec::new();
        readers.each(&request, &names.find(&headers), |found| all.push(String::from_utf8_lossy(found.text()).into_owned()));
        assert_eq!(all, ["bob.n3", "1A2B", "3C4D.n1", "c%69d", "dan"]);
    }

    #[test]
    fn text_of_the_request_is_borrowed() {
        let copied = [bearer_claim("sub"), Place::ClientIp(Prefixes::default()), all([cookie("user")]), Place::Path];
        for place in copied {
            assert!(find(place.clone().into(), |found| matches!(found.unwrap().whole, Cow::Owned(_))), "{place:?}");
        }
        for place in [cookie("user"), header("x-user"), query("user"), path_parameter("v")] {
            assert!(find(place.clone().into(), |found| matches!(found.unwrap().whole, Cow::Borrowed(_))), "{place:?}");
        }
    }

    #[test]
    fn a_composite_is_present_if_all_parts_are() {
        assert_eq!(text(all([cookie("user"), query("user")])).as_deref(), Some("3:ann5:c%69d"));
        assert_eq!(text(all([query("user"), cookie("user")])).as_deref(), Some("5:c%69d3:ann"));
        assert_eq!(text(all([cookie("user"), query("empty")])), None);
        assert_eq!(text(Place::All(vec![route(header("x-user")), cookie("a").into()])).as_deref(), Some("2:n31:1"));
    }

    #[test]
    fn the_first_source_that_is_present_is_read() {
        let headers = headers();
        let request = request(&headers, PATH, None);
        let read = |places: Vec<Place>| {
            let mut names = CookieNames::default();
            let readers = Readers::bind(places.into_iter().map(Source::from).collect(), &mut names);
            let found = readers.read(&request, &names.find(&headers));
            found.map(|found| String::from_utf8_lossy(found.text()).into_owned())
        };
        assert_eq!(read(vec![cookie("none"), query("user"), header("x-user"), cookie("user")]).as_deref(), Some("bob.n3"));
        assert_eq!(read(vec![cookie("empty"), query("user")]), None);
        assert_eq!(read(vec![]), None);
    }

    proptest! {
        #[test]
        fn different_parts_never_give_the_same_text(
            one in prop::collection::vec("[0-9:a]{0,12}", 0..4), other in prop::collection::vec("[0-9:a]{0,12}", 0..4)
        ) {
            let joined = |parts: &[String]| {
                parts.iter().fold(Vec::new(), |mut joined, part| {
                    append(&mut joined, part.as_bytes());
                    joined
                })
            };
            prop_assert_eq!(joined(&one) == joined(&other), one == other);
            // A part that looks like a joined text gives another text.
            let quoted = vec![String::from_utf8(joined(&one)).unwrap()];
            prop_assert!(joined(&quoted) != joined(&one));
        }

        #[test]
        fn any_request_can_be_read(
            path: String, query: Option<String>, cookies in "[an=; .\"]{0,24}", token in prop::collection::vec(32..=255_u8, 0..64)
        ) {
            let token = [b"Bearer ", token.as_slice()].concat();
            let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap_or(HeaderValue::from_static(""));
            let headers = HeaderMap::from_iter([(COOKIE, value(cookies.as_bytes())), (AUTHORIZATION, value(&token))]);
            let request = request(&headers, &path, query.as_deref());
            let places = [cookie("a"), header("authorization"), Place::Query("a".into()), path_parameter("a"), bearer_claim("a")];
            let sources = places.into_iter().flat_map(|place| [route(place.clone()), route(place.clone()), place.into()]);
            let mut names = CookieNames::default();
            let all = Place::All(sources.clone().collect()).into();
            let readers: Vec<Reader> = sources.chain([all]).map(|source: Source| source.bind(&mut names)).collect();
            for reader in readers {
                if let Some(found) = reader.read(&request, &names.find(&headers)) {
                    prop_assert!(!found.text().is_empty() && found.text().len() <= found.whole.len());
                }
            }
        }
    }
}
