//! What the router answers instead, when it cannot: problem documents of RFC 9457.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    host::HostError,
    rules::{Refusal, RefusalCode},
};

/// A problem document. `detail` is the sentence for people; `code` is the name programs go by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// `urn:idlewild:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every problem of this code.
    pub title: String,
    /// The HTTP status it was sent with.
    pub status: u16,
    /// What is wrong here, and the mend.
    pub detail: String,
    pub code: String,
    /// The original framework's number; only refusals of a submission have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
}

impl Problem {
    /// The request could not be understood.
    pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be understood", detail)
    }

    /// The body is longer than the router reads.
    pub(super) fn too_large(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large", detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    pub(super) fn method_not_allowed(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method does not apply here", detail)
    }

    fn refused(refusal: Refusal) -> Problem {
        let status = match refusal.code {
            RefusalCode::NotPermitted => StatusCode::FORBIDDEN,
            RefusalCode::TooManyPendingTaskRequests => StatusCode::TOO_MANY_REQUESTS,
            RefusalCode::Unavailable | RefusalCode::ImmediateRunIneligible => StatusCode::CONFLICT,
        };
        let problem = Problem::new(status, refusal.code.as_str(), "The submission was refused", refusal.message);
        Problem { number: Some(refusal.code.number()), ..problem }
    }

    fn new(status: StatusCode, code: &str, title: &str, detail: impl Into<String>) -> Problem {
        Problem {
            kind: format!("urn:idlewild:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            number: None,
        }
    }
}

impl From<HostError> for Problem {
    fn from(error: HostError) -> Problem {
        let detail = error.to_string();
        match error {
            HostError::Bundle(_) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bundle", "The bundle cannot be installed", detail)
            }
            HostError::Key(_) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key", "The key cannot be trusted", detail)
            }
            HostError::Downgrade(_) => {
                Problem::new(StatusCode::CONFLICT, "downgrade", "The version is older than the one installed", detail)
            }
            HostError::Refused(refusal) => Problem::refused(refusal),
            HostError::NotFound(_) => Problem::not_found(detail),
            HostError::Store(_) => {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store", "The store cannot be used", detail)
            }
            HostError::Stopping => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "The host is stopping", detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], axum::Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_of_the_host_has_its_status_and_code() {
        let refused = |code| HostError::Refused(Refusal { code, message: "why".into() });
        let cases = [
            (HostError::Bundle("why".into()), 422, "bundle", None),
            (HostError::Key("why".into()), 422, "key", None),
            (HostError::Downgrade("why".into()), 409, "downgrade", None),
            (refused(RefusalCode::Unavailable), 409, "unavailable", Some(1)),
            (refused(RefusalCode::TooManyPendingTaskRequests), 429, "too-many-pending-task-requests", Some(2)),
            (refused(RefusalCode::NotPermitted), 403, "not-permitted", Some(3)),
            (refused(RefusalCode::ImmediateRunIneligible), 409, "immediate-run-ineligible", Some(4)),
            (HostError::NotFound("why".into()), 404, "not-found", None),
            (HostError::Store("why".into()), 500, "store", None),
        ];
        for (error, status, code, number) in cases {
            let problem = Problem::from(error);
            assert_eq!((problem.status, problem.code.as_str(), problem.number), (status, code, number));
            assert_eq!(problem.kind, format!("urn:idlewild:problem:{code}"));
            assert_eq!(problem.to_string(), "why");
        }
        assert_eq!(Problem::from(HostError::Stopping).status, 503);
    }

    #[test]
    fn a_problem_is_sent_as_one() {
        let response = Problem::bad_request("unknown field `piority`").into_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn a_problem_in_json_has_the_members_of_rfc_9457() {
        let json = serde_json::to_string(&Problem::not_found("no task 9")).unwrap();
        assert_eq!(
            json,
            r#"{"type":"urn:idlewild:problem:not-found","title":"There is no such thing","status":404,"detail":"no task 9","code":"not-found"}"#
        );
    }
}
