package io.calm.mlflow;

import java.nio.file.Path;
import java.util.Optional;

/**
 * How far a training's records have come. Points are single values of metrics.
 *
 * @param recorded points that are in the spool
 * @param dropped records that could not be kept: the queue was full, or the disk failed
 * @param delivered points the server has accepted
 * @param refused points and other records the server will never accept; they stay in the
 * spool
 * @param complete whether all of the spool has reached the server
 * @param spool the spool's file, if there is one; it is deleted once a finished training
 * has reached the server
 * @param runId of the training's run, once it is known
 * @param error why the last call failed, if it did
 */
public record MlflowStatus(long recorded, long dropped, long delivered, long refused, boolean complete,
		Optional<Path> spool, Optional<String> runId, Optional<String> error) {
}
