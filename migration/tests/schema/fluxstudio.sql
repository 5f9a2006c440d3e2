-- The FluxStudio database as it was in production (PostgreSQL 15), written from its description, with rows to lose.
-- `users` and `projects` are in fluxstudio_accounts.sql: some installations lack them.

CREATE TABLE files (
    id TEXT PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    mime_type VARCHAR(100) NOT NULL,
    size BIGINT NOT NULL,
    file_url TEXT NOT NULL,
    thumbnail_url TEXT,
    uploaded_by TEXT,
    project_id TEXT,
    folder_path TEXT DEFAULT '/',
    hls_manifest_url TEXT,
    transcoding_status VARCHAR(50) DEFAULT 'pending',
    metadata JSONB DEFAULT '{}',
    created_at TIMESTAMP DEFAULT NOW(),
    updated_at TIMESTAMP DEFAULT NOW(),
    deleted_at TIMESTAMP
);

CREATE INDEX idx_files_uploaded_by ON files(uploaded_by);
CREATE INDEX idx_files_project_id ON files(project_id);
CREATE INDEX idx_files_mime_type ON files(mime_type);
CREATE INDEX idx_files_created_at ON files(created_at DESC);
CREATE INDEX idx_files_deleted_at ON files(deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX idx_files_transcoding_status ON files(transcoding_status)
    WHERE transcoding_status IN ('pending', 'processing');
CREATE INDEX idx_files_name_search ON files USING gin (to_tsvector('english', name));

CREATE FUNCTION update_files_updated_at() RETURNS TRIGGER AS $$
BEGIN
    NEW.updated_at = NOW();
    RETURN NEW;
END;
$$ LANGUAGE plpgsql;

CREATE TRIGGER trigger_files_updated_at BEFORE UPDATE ON files
    FOR EACH ROW EXECUTE FUNCTION update_files_updated_at();

CREATE TABLE transcoding_jobs (
    id TEXT PRIMARY KEY,
    file_id TEXT NOT NULL REFERENCES files(id) ON DELETE CASCADE,
    status VARCHAR(50) DEFAULT 'pending',
    input_url TEXT NOT NULL,
    output_prefix VARCHAR(255),
    manifest_url TEXT,
    progress INTEGER DEFAULT 0,
    error_message TEXT,
    created_at TIMESTAMP DEFAULT NOW(),
    started_at TIMESTAMP,
    completed_at TIMESTAMP,
    settings JSONB DEFAULT '{}'
);

CREATE INDEX idx_transcoding_jobs_file ON transcoding_jobs(file_id);
CREATE INDEX idx_transcoding_jobs_status ON transcoding_jobs(status) WHERE status IN ('pending', 'processing');
CREATE INDEX idx_transcoding_jobs_created ON transcoding_jobs(created_at DESC);

CREATE FUNCTION cleanup_old_transcoding_jobs() RETURNS INTEGER AS $$
DECLARE
    deleted INTEGER;
BEGIN
    DELETE FROM transcoding_jobs
    WHERE status IN ('completed', 'failed', 'canceled') AND completed_at < NOW() - INTERVAL '30 days';
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END;
$$ LANGUAGE plpgsql;

INSERT INTO files (id, name, mime_type, size, file_url, uploaded_by, project_id, folder_path, hls_manifest_url,
                   transcoding_status, metadata, created_at, updated_at, deleted_at) VALUES
    ('clholiday', 'holiday.mp4', 'video/mp4', 73400320, 'https://fluxstudio.nyc3.digitaloceanspaces.com/u/holiday.mp4',
     'cluser', 'clproject', '/', 'https://fluxstudio.nyc3.cdn.digitaloceanspaces.com/hls/clholiday/master.m3u8',
     'completed', '{"camera": "X100", "tags": ["sea", "wind"]}', '2025-01-02 03:04:05.678901', '2025-01-02 04:00:00', NULL),
    ('clnew', 'Grüße aus Łódź.mov', 'video/quicktime', 1, 'https://fluxstudio.nyc3.digitaloceanspaces.com/u/new.mov',
     'cluser', NULL, '/a/b', NULL, 'processing', '{}', '2025-02-03 00:00:00', '2025-02-03 00:00:01', NULL),
    ('clgone', 'gone.pdf', 'application/pdf', 0, 'https://example.org/gone.pdf',
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2025-03-04 05:06:07');

INSERT INTO transcoding_jobs (id, file_id, status, input_url, output_prefix, progress, error_message, created_at,
                              started_at, completed_at, settings) VALUES
    ('cljobdone', 'clholiday', 'completed', 'https://fluxstudio.nyc3.digitaloceanspaces.com/u/holiday.mp4',
     'hls/clholiday/', 100, NULL, '2025-01-02 03:05:00', '2025-01-02 03:05:10', '2025-01-02 03:07:00', '{"preset": "medium"}'),
    ('cljobfailed', 'clholiday', 'failed', 'https://fluxstudio.nyc3.digitaloceanspaces.com/u/holiday.mp4',
     'hls/clholiday/', 37, 'ffmpeg exited with code 1', '2025-01-01 00:00:00', '2025-01-01 00:00:10', '2025-01-01 00:00:20', NULL),
    ('cljobrunning', 'clnew', 'processing', 'https://fluxstudio.nyc3.digitaloceanspaces.com/u/new.mov',
     'hls/clnew/', 45, NULL, '2025-02-03 00:00:00', '2025-02-03 00:00:05', NULL, '{}');
