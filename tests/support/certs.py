"""Certificates for tests, made with the openssl program: an authority and leaves that are good or bad in one way each."""
import os
import ssl
import subprocess


def _openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder, self.name = str(folder), name
        os.makedirs(self.folder, exist_ok=True)
        self.file = os.path.join(self.folder, f"{name}.crt")
        _openssl(self.folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                 "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN=weir test {name}",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def context(self, leaf, san="DNS:localhost,IP:127.0.0.1", days="20", version=None):
        """A server context with a leaf for these names. days: negative for one that has expired."""
        with open(os.path.join(self.folder, f"{leaf}.ext"), "w", encoding="utf-8") as f:
            f.write(f"subjectAltName={san}\nextendedKeyUsage=serverAuth\n")
        _openssl(self.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{leaf}.key",
                 "-out", f"{leaf}.csr", "-subj", f"/CN={leaf}")
        sign = ["x509", "-req", "-in", f"{leaf}.csr", "-CA", f"{self.name}.crt", "-CAkey", f"{self.name}.key", "-CAcreateserial",
                "-extfile", f"{leaf}.ext", "-out", f"{leaf}.crt"]
        try:
            _openssl(self.folder, *sign, "-days", days)
        except subprocess.CalledProcessError: # newer versions make no certificate that ends before it begins
            _openssl(self.folder, *sign, "-not_before", "20200101000000Z", "-not_after", "20200201000000Z")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(self.folder, f"{leaf}.crt"), os.path.join(self.folder, f"{leaf}.key"))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context
