/** Names for what most applications log, so that all of them mean the same by them. */
export const AuditActions = {
  USER_LOGIN: "user.login",
  USER_LOGIN_FAILED: "user.login.failed",
  USER_LOGOUT: "user.logout",
  USER_SIGNUP: "user.signup",
  PASSWORD_CHANGED: "user.password.changed",
  PASSWORD_RESET_REQUESTED: "user.password.reset_requested",
  PASSWORD_RESET_COMPLETED: "user.password.reset_completed",
  MFA_ENABLED: "user.mfa.enabled",
  MFA_DISABLED: "user.mfa.disabled",
  USER_CREATED: "user.created",
  USER_UPDATED: "user.updated",
  USER_DELETED: "user.deleted",
  USER_ROLE_CHANGED: "user.role.changed",
  USER_PERMISSIONS_CHANGED: "user.permissions.changed",
  RECORD_CREATED: "record.created",
  RECORD_UPDATED: "record.updated",
  RECORD_DELETED: "record.deleted",
  RECORD_VIEWED: "record.viewed",
  RECORD_EXPORTED: "record.exported",
  SETTINGS_CHANGED: "settings.changed",
  API_KEY_CREATED: "api_key.created",
  API_KEY_REVOKED: "api_key.revoked",
  UNAUTHORIZED_ACCESS: "security.unauthorized_access",
  SUSPICIOUS_ACTIVITY: "security.suspicious_activity",
  RATE_LIMIT_EXCEEDED: "security.rate_limit_exceeded",
} as const;

/** One of the predefined actions. */
export type AuditAction = (typeof AuditActions)[keyof typeof AuditActions];
