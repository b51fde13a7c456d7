/* eslint-disable */
/**
 * Generated `ComponentApi` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npm run generate`.
 * @module
 */

import type { FunctionReference } from "convex/server";

/**
 * A utility for referencing a Convex component's exposed API.
 *
 * Useful when expecting a parameter like `components.myComponent`.
 */
export type ComponentApi<Name extends string | undefined = string | undefined> =
  {
    lib: {
      cleanup: FunctionReference<
        "mutation",
        "internal",
        {
          batchSize?: number;
          defaults?: {
            criticalRetentionDays?: number;
            defaultRetentionDays?: number;
          };
          includeRefused?: boolean;
          olderThanDays?: number;
          preserveSeverity?: Array<"info" | "warning" | "error" | "critical">;
          retentionCategory?: string;
        },
        number,
        Name
      >;
      coverage: FunctionReference<"query", "internal", {}, null | number, Name>;
      detectAnomalies: FunctionReference<
        "query",
        "internal",
        {
          patterns: Array<{
            action: string;
            filter?: {
              actions?: Array<string>;
              actorIds?: Array<string>;
              fromTimestamp?: number;
              resourceTypes?: Array<string>;
              severity?: Array<"info" | "warning" | "error" | "critical">;
              tags?: Array<string>;
              toTimestamp?: number;
            };
            groupBy?: "actor" | "ipAddress" | "resource" | "session" | "tenant";
            name?: string;
            threshold: number;
            windowMinutes: number;
          }>;
        },
        {
          complete: boolean;
          items: Array<{
            action: string;
            count: number;
            detectedAt: number;
            group?: string;
            name: string;
            threshold: number;
            windowMinutes: number;
          }>;
        },
        Name
      >;
      forwardAgain: FunctionReference<"mutation", "internal", {}, number, Name>;
      forwardingStatus: FunctionReference<
        "query",
        "internal",
        {},
        {
          acknowledged: number;
          error: { at: number; code: string; message: string } | null;
          failures: number;
          lastSeq: number | null;
          nextAttemptAt: number | null;
          oldestPendingAt: number | null;
          pending: number;
          refused: number;
          state: "off" | "idle" | "sending" | "waiting";
          treeSize: number | null;
        },
        Name
      >;
      generateReport: FunctionReference<
        "query",
        "internal",
        {
          cursor?: string | null;
          endDate: number;
          format: "json" | "csv";
          groupBy?: string;
          includeFields?: Array<string>;
          maxRecords?: number;
          startDate: number;
        },
        {
          complete: boolean;
          cursor: string | null;
          data: string;
          format: "json" | "csv";
          generatedAt: number;
          recordCount: number;
          truncated: boolean;
        },
        Name
      >;
      get: FunctionReference<
        "query",
        "internal",
        { id: string },
        null | {
          _creationTime: number;
          _id: string;
          action: string;
          actorId?: string;
          actorName?: string;
          actorType?: string;
          after?: any;
          before?: any;
          diff?: string;
          id?: string;
          ipAddress?: string;
          metadata?: any;
          onBehalfOf?: string;
          outcome?: "success" | "failure" | "denied";
          refused?: { code: string; message: string };
          requestId?: string;
          resourceId?: string;
          resourceType?: string;
          retentionCategory?: string;
          sampled?: boolean;
          seq?: number;
          sessionId?: string;
          severity: "info" | "warning" | "error" | "critical";
          tags?: Array<string>;
          tenant?: string;
          timestamp: number;
          treeSize?: number;
          userAgent?: string;
        },
        Name
      >;
      getConfig: FunctionReference<
        "query",
        "internal",
        {
          defaults?: {
            criticalRetentionDays?: number;
            defaultRetentionDays?: number;
          };
        },
        null | {
          _creationTime: number;
          _id: string;
          criticalRetentionDays: number;
          customRetention?: Array<{ category: string; retentionDays: number }>;
          defaultRetentionDays: number;
          keepDays?: number | null;
          piiFieldsToRedact: Array<string>;
          samplingEnabled: boolean;
          samplingRate: number;
        },
        Name
      >;
      getStats: FunctionReference<
        "query",
        "internal",
        { fromTimestamp?: number; toTimestamp?: number },
        {
          bySeverity: {
            critical: number;
            error: number;
            info: number;
            warning: number;
          };
          complete: boolean;
          topActions: Array<{ action: string; count: number }>;
          topActors: Array<{ actorId: string; count: number }>;
          totalCount: number;
        },
        Name
      >;
      log: FunctionReference<
        "mutation",
        "internal",
        {
          event: {
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            changed?: Array<string>;
            generateDiff?: boolean;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sessionId?: string;
            severity?: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp?: number;
            userAgent?: string;
          };
          sampling?: number;
        },
        string,
        Name
      >;
      logBulk: FunctionReference<
        "mutation",
        "internal",
        {
          events: Array<{
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            changed?: Array<string>;
            generateDiff?: boolean;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sessionId?: string;
            severity?: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp?: number;
            userAgent?: string;
          }>;
          sampling?: number | null;
        },
        Array<string>,
        Name
      >;
      queryByAction: FunctionReference<
        "query",
        "internal",
        { action: string; fromTimestamp?: number; limit?: number },
        {
          complete: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
      queryByActor: FunctionReference<
        "query",
        "internal",
        {
          actions?: Array<string>;
          actorId: string;
          fromTimestamp?: number;
          limit?: number;
        },
        {
          complete: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
      queryByResource: FunctionReference<
        "query",
        "internal",
        {
          fromTimestamp?: number;
          limit?: number;
          resourceId: string;
          resourceType: string;
        },
        {
          complete: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
      queryBySeverity: FunctionReference<
        "query",
        "internal",
        {
          fromTimestamp?: number;
          limit?: number;
          severity: Array<"info" | "warning" | "error" | "critical">;
        },
        {
          complete: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
      search: FunctionReference<
        "query",
        "internal",
        {
          filters: {
            actions?: Array<string>;
            actorIds?: Array<string>;
            fromTimestamp?: number;
            resourceTypes?: Array<string>;
            severity?: Array<"info" | "warning" | "error" | "critical">;
            tags?: Array<string>;
            toTimestamp?: number;
          };
          pagination: { cursor?: string | null; limit: number };
        },
        {
          complete: boolean;
          cursor: string | null;
          hasMore: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
      updateConfig: FunctionReference<
        "mutation",
        "internal",
        {
          criticalRetentionDays?: number;
          customRetention?: Array<{ category: string; retentionDays: number }>;
          defaultRetentionDays?: number;
          keepDays?: number | null;
          piiFieldsToRedact?: Array<string>;
          samplingEnabled?: boolean;
          samplingRate?: number;
        },
        string,
        Name
      >;
      watchCritical: FunctionReference<
        "query",
        "internal",
        {
          limit?: number;
          severity?: Array<"info" | "warning" | "error" | "critical">;
        },
        {
          complete: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
    };
    sealog: {
      detectAnomalies: FunctionReference<
        "action",
        "internal",
        {
          patterns: Array<{
            action: string;
            filter?: {
              actions?: Array<string>;
              actorIds?: Array<string>;
              fromTimestamp?: number;
              resourceTypes?: Array<string>;
              severity?: Array<"info" | "warning" | "error" | "critical">;
              tags?: Array<string>;
              toTimestamp?: number;
            };
            groupBy?: "actor" | "ipAddress" | "resource" | "session" | "tenant";
            name?: string;
            threshold: number;
            windowMinutes: number;
          }>;
        },
        {
          complete: boolean;
          items: Array<{
            action: string;
            count: number;
            detectedAt: number;
            group?: string;
            name: string;
            threshold: number;
            windowMinutes: number;
          }>;
        },
        Name
      >;
      generateReport: FunctionReference<
        "action",
        "internal",
        {
          cursor?: string | null;
          endDate: number;
          format: "json" | "csv";
          groupBy?: string;
          includeFields?: Array<string>;
          maxRecords?: number;
          startDate: number;
        },
        {
          complete: boolean;
          cursor: string | null;
          data: string;
          format: "json" | "csv";
          generatedAt: number;
          recordCount: number;
          truncated: boolean;
        },
        Name
      >;
      get: FunctionReference<
        "action",
        "internal",
        { id: string },
        null | {
          _creationTime: number;
          _id: string;
          action: string;
          actorId?: string;
          actorName?: string;
          actorType?: string;
          after?: any;
          before?: any;
          diff?: string;
          id?: string;
          ipAddress?: string;
          metadata?: any;
          onBehalfOf?: string;
          outcome?: "success" | "failure" | "denied";
          refused?: { code: string; message: string };
          requestId?: string;
          resourceId?: string;
          resourceType?: string;
          retentionCategory?: string;
          sampled?: boolean;
          seq?: number;
          sessionId?: string;
          severity: "info" | "warning" | "error" | "critical";
          tags?: Array<string>;
          tenant?: string;
          timestamp: number;
          treeSize?: number;
          userAgent?: string;
        },
        Name
      >;
      getProof: FunctionReference<
        "action",
        "internal",
        { id: string },
        string,
        Name
      >;
      getStats: FunctionReference<
        "action",
        "internal",
        { fromTimestamp?: number; toTimestamp?: number },
        {
          bySeverity: {
            critical: number;
            error: number;
            info: number;
            warning: number;
          };
          complete: boolean;
          topActions: Array<{ action: string; count: number }>;
          topActors: Array<{ actorId: string; count: number }>;
          totalCount: number;
        },
        Name
      >;
      queryByAction: FunctionReference<
        "action",
        "internal",
        { action: string; fromTimestamp?: number; limit?: number },
        {
          complete: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
      queryByActor: FunctionReference<
        "action",
        "internal",
        {
          actions?: Array<string>;
          actorId: string;
          fromTimestamp?: number;
          limit?: number;
        },
        {
          complete: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
      queryByResource: FunctionReference<
        "action",
        "internal",
        {
          fromTimestamp?: number;
          limit?: number;
          resourceId: string;
          resourceType: string;
        },
        {
          complete: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
      queryBySeverity: FunctionReference<
        "action",
        "internal",
        {
          fromTimestamp?: number;
          limit?: number;
          severity: Array<"info" | "warning" | "error" | "critical">;
        },
        {
          complete: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
      search: FunctionReference<
        "action",
        "internal",
        {
          filters: {
            actions?: Array<string>;
            actorIds?: Array<string>;
            fromTimestamp?: number;
            resourceTypes?: Array<string>;
            severity?: Array<"info" | "warning" | "error" | "critical">;
            tags?: Array<string>;
            toTimestamp?: number;
          };
          pagination: { cursor?: string | null; limit: number };
        },
        {
          complete: boolean;
          cursor: string | null;
          hasMore: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
      watchCritical: FunctionReference<
        "action",
        "internal",
        {
          limit?: number;
          severity?: Array<"info" | "warning" | "error" | "critical">;
        },
        {
          complete: boolean;
          items: Array<{
            _creationTime: number;
            _id: string;
            action: string;
            actorId?: string;
            actorName?: string;
            actorType?: string;
            after?: any;
            before?: any;
            diff?: string;
            id?: string;
            ipAddress?: string;
            metadata?: any;
            onBehalfOf?: string;
            outcome?: "success" | "failure" | "denied";
            refused?: { code: string; message: string };
            requestId?: string;
            resourceId?: string;
            resourceType?: string;
            retentionCategory?: string;
            sampled?: boolean;
            seq?: number;
            sessionId?: string;
            severity: "info" | "warning" | "error" | "critical";
            tags?: Array<string>;
            tenant?: string;
            timestamp: number;
            treeSize?: number;
            userAgent?: string;
          }>;
        },
        Name
      >;
    };
  };
